/** How a claim finds its host and its disk: everything is checked before anything is touched. */
import type { BmcDriver } from '../bmc/driver.ts';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { chooseDisk, describeDisk, identityOf, isSameDisk } from '../host/disk.ts';
import type { DiskChoice, DiskIdentity } from '../host/disk.ts';
import type { Host, HostBmc, Intent } from '../host/host.ts';
import { seedFiles, seedImage } from '../image/seed.ts';
import type { ImageStore } from '../image/store.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import type { Keeper } from './keeper.ts';
import type { PresenceBook } from './presence.ts';
import type { Asker, ClaimRequest, DryRun } from './rack.ts';

/** What the rack in this process is made of. */
export interface RackParts {
  readonly world: World;
  readonly keeper: Keeper;
  readonly presence: PresenceBook;
  readonly store: Store;
  readonly images: Pick<ImageStore, 'find' | 'manifest'>;
  readonly limits: Limits;
  readonly driverFor: (bmc: HostBmc) => BmcDriver;
  readonly newId: (prefix: string) => string;
}

type Wanted = { readonly image: string; readonly hostName: string; readonly userData?: string };
/** As long as any phone-home URL of ours, so that a seed that fits today fits when it is written. */
const longestUrl = `http://255.255.255.255:65535/phone-home/${'x'.repeat(160)}`;

/** The intent for an image, checked: the image exists, fits the disk, and its seed has room for the user data. */
export const intentOf = async ({ images, limits }: RackParts, wanted: Wanted, disk: DiskIdentity): Promise<Intent> => {
  const { userData, hostName } = wanted;
  const entry = await images.find(wanted.image);
  if (entry.sizeBytes > disk.sizeBytes)
    throw new RemudaError('disk-too-small', `image ${entry.name} has ${entry.sizeBytes} bytes and does not fit on ${describeDisk(disk)}`);
  if (userData !== undefined && Buffer.byteLength(userData) > limits.userDataBytes)
    throw new RemudaError('too-large', `the user data is larger than ${limits.userDataBytes} bytes`);
  if (entry.seed === null && userData !== undefined)
    throw new RemudaError('bad-request', `image ${entry.name} has no seed partition, so it cannot be given user data`);
  if (entry.seed !== null)
    seedImage(
      seedFiles({ instanceId: 'x'.repeat(140), hostName, phoneHomeUrl: longestUrl, ...(userData === undefined ? {} : { userData }) }),
      entry.seed.sizeBytes,
    );
  return {
    image: entry.digest,
    imageName: entry.name,
    imageSizeBytes: entry.sizeBytes,
    phoneHome: entry.phoneHome,
    hostName,
    ...(userData === undefined ? {} : { userData }),
  };
};

const choiceOn = (host: Host, request: ClaimRequest): DiskChoice =>
  host.inventory === null
    ? { refused: 'disk-missing', reason: `${host.name} was never inspected, so its disks are not known`, found: [] }
    : chooseDisk(request.disk, host.inventory.disks);

/** Why the host cannot be claimed now; undefined where it can. */
const refusal = (host: Host): string | undefined => {
  if (host.held !== null) return `held by ${host.held.by}: ${host.held.why}`;
  if (host.failed !== null) return `failed at ${host.failed.step}: ${host.failed.reason}`;
  if (host.claim !== null) return `claimed by ${host.claim.owner} (${host.claim.id})`;
  return host.state === 'available' ? undefined : `it is ${host.state}`;
};
const candidates = ({ keeper }: RackParts, request: ClaimRequest): readonly Host[] =>
  request.host === undefined ? keeper.all() : [keeper.find(request.host)];

const wantedOn = (host: Host, request: ClaimRequest): Wanted => ({
  image: request.image,
  hostName: request.hostName ?? host.name,
  ...(request.userData === undefined ? {} : { userData: request.userData }),
});

const claimOn = async (
  parts: RackParts,
  host: Host,
  request: ClaimRequest & { readonly id: string },
  ifVersion?: number,
): Promise<Host> => {
  const not = refusal(host);
  if (not !== undefined)
    throw new RemudaError(host.claim === null ? 'state-conflict' : 'host-claimed', `host ${host.name} cannot be claimed: ${not}`);
  const choice = choiceOn(host, request);
  if ('refused' in choice)
    throw new RemudaError(choice.refused, `host ${host.name}: ${choice.reason}`, { values: { disks: choice.found } });
  const intent = await intentOf(parts, wantedOn(host, request), choice.chosen);
  return parts.keeper.apply(
    host.id,
    {
      type: 'claim',
      id: request.id,
      owner: request.owner,
      intent,
      rule: request.disk,
      disk: choice.chosen,
    },
    ifVersion,
  );
};

/**
 * Claims the named host, or the first available one whose disks fit. Idempotent by claim ID. Of several claims that meet at one host one wins; the others try the next host.
 */
export const placeClaim = async (parts: RackParts, request: ClaimRequest, { ifVersion }: Asker): Promise<Host> => {
  const id = request.id ?? parts.newId('c');
  const row = await parts.store.claim(id);
  const held = row === undefined ? undefined : parts.keeper.get(row.hostId);
  if (row !== undefined && row.releasedAt !== null)
    throw new RemudaError('claim-exists', `claim ${id} was released; a claim's ID is never given again`);
  if (held !== undefined) return held;
  const hosts = candidates(parts, request);
  if (request.host !== undefined && hosts[0] !== undefined) return claimOn(parts, hosts[0], { ...request, id }, ifVersion);
  const reasons: string[] = [];
  for (const host of hosts) {
    try {
      return await claimOn(parts, host, { ...request, id });
    } catch (error) {
      if (
        !(error instanceof RemudaError) ||
        error.code === 'image-not-found' ||
        error.code === 'claim-exists' ||
        error.code === 'bad-request'
      )
        throw error;
      reasons.push(error.message);
    }
  }
  throw new RemudaError('conflict', `no host fits; ${hosts.length} looked at: ${reasons.join('; ') || 'there is none'}`, {
    values: { hosts: hosts.length },
  });
};

/** What the claim would do to every disk of every host it might take. */
export const dryRunOf = async (parts: RackParts, request: ClaimRequest): Promise<readonly DryRun[]> => {
  const runs: DryRun[] = [];
  for (const host of candidates(parts, request)) {
    const choice = choiceOn(host, request);
    const chosen = 'chosen' in choice ? choice.chosen : undefined;
    const not = refusal(host) ?? ('refused' in choice ? choice.reason : undefined);
    const unfit =
      not ??
      (chosen === undefined
        ? 'no disk'
        : await intentOf(parts, wantedOn(host, request), chosen).then(
            () => undefined,
            (error: unknown) => (error instanceof RemudaError ? error.message : Promise.reject(error as Error)),
          ));
    const disks = (host.inventory?.disks ?? []).map((found) => {
      const disk = identityOf(found);
      const named = chosen !== undefined && isSameDisk(disk, chosen);
      if (!named)
        return {
          disk,
          fate: 'untouched' as const,
          why: found.removable ? 'removable' : found.readOnly ? 'read-only' : 'not named by the claim',
        };
      return unfit === undefined
        ? { disk, fate: 'overwritten' as const, why: `named by ${JSON.stringify(request.disk)}` }
        : { disk, fate: 'untouched' as const, why: `named, but the claim is refused: ${unfit}` };
    });
    runs.push({
      host: host.name,
      hostId: host.id,
      allowed: unfit === undefined,
      reason: unfit ?? 'the claim would be granted',
      image: request.image,
      disks,
    });
  }
  return runs;
};
