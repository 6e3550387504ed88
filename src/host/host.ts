/** A physical server as the rulebook sees it: its state, the overlays over it, and the facts beside it. */
import type { Code } from '../errors.ts';
import type { Mac, Uuid } from '../wire/address.ts';
import type { BmcAddress, DhcpExtras } from '../wire/words.ts';
import type { DiskIdentity, DiskRule } from './disk.ts';
import type { Inventory } from './inventory.ts';
import type { MetaData } from './meta-data.ts';
import type { HostNetwork } from './network.ts';

export const hostStates = ['discovered', 'enrolled', 'inspecting', 'available', 'provisioning', 'provisioned', 'cleaning'] as const;
export type HostState = (typeof hostStates)[number];
export type Firmware = 'bios' | 'uefi';
export type Power = 'on' | 'off' | 'unknown';

/** The host's management controller. The password never leaves the daemon: the API does not show it. */
export type HostBmc = BmcAddress;

/** What the owner of a claim wants on the disk. A change of it is a new generation. */
export interface Intent {
  /** `sha256:<hex>` of the raw image */
  readonly image: string;
  readonly imageName: string;
  readonly imageSizeBytes: number;
  /** Who tells that the OS is up; `none`: provisioned rests on the verified read-back alone. */
  readonly phoneHome: 'image' | 'cloud-init' | 'none';
  readonly hostName: string;
  readonly userData?: string;
  readonly metaData?: MetaData;
  /** What the OS is told of its network; without it the OS decides (DHCP). */
  readonly network?: HostNetwork;
}
/** What the owner asked for, to know the same request again. Of the user data only its SHA-256. */
export interface ClaimAsked {
  readonly owner: string;
  readonly host?: string;
  readonly selector?: Readonly<Record<string, unknown>>;
  readonly disk: DiskRule;
  readonly image: string;
  readonly hostName?: string;
  readonly userData?: string;
  readonly metaData?: MetaData;
  readonly network?: HostNetwork;
  readonly provisionTimeoutSeconds?: number;
  /** The word of a reservation whose host is taken first; `wait`: none but that one while it is being cleaned. */
  readonly reuse?: { readonly of: string; readonly mode: 'prefer' | 'wait' };
  /** The group whose hosts look at each other's places. It is kept with the claim, so that a restart knows it. */
  readonly placement?: PlacementRule;
}
/** Where hosts of one group come to stand as seen from each other. */
export interface PlacementRule {
  readonly group: string;
  /** `failureDomain`, `rack`, or the key of a label. */
  readonly by: string;
  readonly mode: 'spread' | 'require-spread' | 'together';
}
/** One owner's right to one host. */
export interface Claim {
  readonly id: string;
  readonly owner: string;
  readonly generation: number;
  readonly intent: Intent;
  readonly rule: DiskRule;
  /** The disk that the rule named when the claim was made; the only disk that its generations may write. */
  readonly disk: DiskIdentity;
  readonly createdAt: number;
  /** As the request said it; absent in claims of the first release. */
  readonly asked?: ClaimAsked;
  /** A generation that is not provisioned by then has failed. */
  readonly provisionTimeoutSeconds?: number;
  /** When the present generation (or its last retry) began. */
  readonly generationAt?: number;
}
/** What must be cleaned before the host may be claimed again. */
export interface Release {
  readonly claimId: string;
  readonly generation: number;
  readonly disk: DiskIdentity;
  readonly at: number;
  /**
   * When it was first known since the release that the owner's OS runs no more: the BMC showed the power off, or our agent, in a boot that
   * began from off, asked for the work of cleaning. Never without a BMC.
   */
  readonly offAt?: number;
}
/** Kept by a release for whoever claims with this word; nobody else gets the host meanwhile. */
export interface Reservation {
  readonly for: string;
  readonly seconds: number;
  /** null while the host is being cleaned: the time is counted from when it is clean. */
  readonly until: number | null;
}

/** One network boot that we started. Closed = no ticket of it is good any more. */
export interface Boot {
  readonly number: number;
  /** Generation of the claim when it was opened; 0 without a claim. */
  readonly generation: number;
  readonly openedAt: number;
  /** The BMC confirmed the boot override (or there is no BMC and the operator was asked). */
  readonly armedAt?: number;
  readonly poweredOnAt?: number;
  readonly redeemed?: { readonly publicKey: string; readonly at: number };
  readonly inventoryAt?: number;
  readonly contestedAt?: number;
  readonly closedAt?: number;
}
export type JobKind = 'install' | 'clean';
/** One piece of work on one disk, handed to the agent of one boot. */
export interface Job {
  /** `<boot>.<generation>.<kind>` */
  readonly id: string;
  readonly kind: JobKind;
  readonly boot: number;
  readonly claimId: string;
  readonly generation: number;
  readonly disk: DiskIdentity;
  readonly givenAt: number;
  /** When the agent was first allowed to write. */
  readonly startedAt?: number;
}
export interface Installed {
  readonly claimId: string;
  readonly generation: number;
  /** As read back from the disk by the agent. */
  readonly digest: string;
  readonly disk: DiskIdentity;
  readonly at: number;
}
export interface PhonedHome {
  readonly generation: number;
  readonly hostName: string;
  readonly at: number;
}

export interface Held {
  readonly by: string;
  readonly why: string;
  readonly at: number;
}
export interface Failed {
  readonly step: string;
  readonly code: string;
  readonly reason: string;
  readonly at: number;
  readonly tries: number;
}
/** A step that has not succeeded yet. */
export interface Attempt {
  readonly step: string;
  readonly since: number;
  readonly tries: number;
  readonly notBefore: number;
  readonly code: Code;
  readonly reason: string;
}

/** A MAC address that was seen with the host's UUID. The wire is no proof: it waits for the host's own BMC or for an operator. */
export interface MacProposal {
  readonly mac: Mac;
  readonly uuid: Uuid;
  readonly at: number;
  /** How often the BMC answered and did not name it. */
  readonly asked: number;
  /** How often in a row it did not answer. */
  readonly missed: number;
  /** When it was asked last. */
  readonly askedAt: number;
}
/** What is noted of the host's identity beside its MACs, UUID and serial. */
export interface IdentityNotes {
  readonly proposals: readonly MacProposal[];
  /** MACs that an operator said are not this host's. */
  readonly refused: readonly Mac[];
  /** MACs that were this host's: no longer recognised, kept for people; the oldest go first. */
  readonly retired: readonly { readonly mac: Mac; readonly at: number; readonly why: string }[];
}
export const nothingNoted: IdentityNotes = { proposals: [], refused: [], retired: [] };

/** What people say of a host. No rule about a disk rests on it. */
export interface Profile {
  readonly labels: Readonly<Record<string, string>>;
  /** Claims without a pool take hosts of `default` only. */
  readonly pool: string;
  readonly rack: string | null;
  /** Lowest rack unit that it fills, counted from 1 at the bottom. */
  readonly unit: number | null;
  readonly failureDomain: string | null;
  /** A word of maintenance, for people. */
  readonly note: string | null;
  /** Told to the OS of every claim that does not bring its own. */
  readonly network: HostNetwork | null;
  /** DHCP options that this host gets instead of its subnet's. */
  readonly dhcp: DhcpExtras | null;
}
export const plainProfile: Profile = {
  labels: {},
  pool: 'default',
  rack: null,
  unit: null,
  failureDomain: null,
  note: null,
  network: null,
  dhcp: null,
};

/** What the BMC says of the machine that it manages. */
export interface Identified {
  readonly vendor?: string;
  readonly model?: string;
  readonly serial?: string;
  readonly uuid?: Uuid;
  readonly macs?: readonly Mac[];
  readonly at: number;
}
export interface Host {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly state: HostState;
  readonly held: Held | null;
  readonly failed: Failed | null;
  readonly macs: readonly Mac[];
  readonly uuid: Uuid | null;
  /** Serial number of the chassis, as people or the BMC say it. */
  readonly serial: string | null;
  readonly profile: Profile;
  readonly firmware: Firmware | null;
  readonly bmc: HostBmc | null;
  /** What the BMC says of itself; null until it was asked. */
  readonly identified: Identified | null;
  /** Absent where there is nothing to note. */
  readonly identity?: IdentityNotes;
  readonly inventory: Inventory | null;
  readonly claim: Claim | null;
  readonly release: Release | null;
  /** Absent, and in hosts of earlier releases too, where nobody kept it. Look at it through `reservationOf`: it ends by time. */
  readonly reservation?: Reservation | null;
  readonly boot: Boot | null;
  readonly job: Job | null;
  readonly attempt: Attempt | null;
  /** Boots of the present purpose that came to nothing; reset by success. */
  readonly bootTries: number;
  readonly facts: {
    readonly power: Power;
    readonly powerAt: number;
    readonly bootCount: number;
    readonly installCount: number;
    readonly wipeCount: number;
    /** A disk that we were allowed to write since it was last clean. */
    readonly dirty: DiskIdentity | null;
    readonly installed: Installed | null;
    readonly phonedHome: PhonedHome | null;
    readonly availableSince: number | null;
  };
  readonly createdAt: number;
}

/** One line of a host's timeline. */
export interface JournalEntry {
  readonly hostId: string;
  readonly at: number;
  /** `state`: durable, written with the change; `packet`: observed on the wire, may be lost. */
  readonly kind: 'state' | 'packet';
  readonly boot: number;
  readonly text: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface NewHost {
  readonly id: string;
  readonly name: string;
  readonly state: 'discovered' | 'enrolled';
  readonly macs: readonly Mac[];
  readonly uuid?: Uuid;
  readonly serial?: string;
  readonly profile?: Profile;
  readonly firmware?: Firmware;
  readonly bmc?: HostBmc;
}
/** A host nobody has touched yet. */
export const newHost = (spec: NewHost, now: number): Host => ({
  id: spec.id,
  name: spec.name,
  version: 0,
  state: spec.state,
  held: null,
  failed: null,
  macs: spec.macs,
  uuid: spec.uuid ?? null,
  serial: spec.serial ?? null,
  profile: spec.profile ?? plainProfile,
  firmware: spec.firmware ?? null,
  bmc: spec.bmc ?? null,
  identified: null,
  inventory: null,
  claim: null,
  release: null,
  boot: null,
  job: null,
  attempt: null,
  bootTries: 0,
  facts: {
    power: 'unknown',
    powerAt: 0,
    bootCount: 0,
    installCount: 0,
    wipeCount: 0,
    dirty: null,
    installed: null,
    phonedHome: null,
    availableSince: null,
  },
  createdAt: now,
});

/** Is the image of the claim's present generation on its disk, by the agent's own read-back? */
export const isInstalled = (host: Host): boolean =>
  host.claim !== null &&
  host.facts.installed !== null &&
  host.facts.installed.claimId === host.claim.id &&
  host.facts.installed.generation === host.claim.generation;
/** The reservation, unless its time is over. */
export const reservationOf = ({ reservation }: Pick<Host, 'reservation'>, now: number): Reservation | undefined =>
  reservation === undefined || reservation === null || (reservation.until !== null && now >= reservation.until) ? undefined : reservation;
/** The boot whose ticket is still good. */
export const openBoot = (host: Host): Boot | undefined =>
  host.boot !== null && host.boot.closedAt === undefined && host.boot.contestedAt === undefined ? host.boot : undefined;
