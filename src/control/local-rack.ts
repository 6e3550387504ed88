/** The rack in this process: what the API may ask becomes events of the rulebook. */
import { RemudaError } from '../errors.ts';
import { reservationOf } from '../host/host.ts';
import type { Host } from '../host/host.ts';
import { conflictsOf, identityIndex } from '../host/identity.ts';
import type { IdentityIndex } from '../host/identity.ts';
import { parseUuid } from '../wire/address.ts';
import { WaitingRoom } from './claiming.ts';
import type { RackParts } from './claiming.ts';
import { dryClaim, dryGeneration, dryRelease } from './dry-run.ts';
import { bmcOf, enrol, enrolMany } from './enrolling.ts';
import { intentOf, networkOn } from './intent.ts';
import type { Wanted } from './intent.ts';
import type { Keeper } from './keeper.ts';
import type { Presence } from './presence.ts';
import { changeMacs, locate, power, setBmc } from './person.ts';
import type { Accept, Asker, ClaimStanding, Describe, DryRun, HostView, Rack, ReleaseWish, Reprovision } from './rack.ts';
import { bmcClash, identityClash, placeClash, rosterOf } from './roster.ts';

const indexes = new WeakMap<readonly Host[], IdentityIndex>();
/** Of the keeper's list, which stays the same until a host changes. */
const indexOf = (hosts: readonly Host[]): IdentityIndex => {
  const index = indexes.get(hosts) ?? identityIndex(hosts);
  indexes.set(hosts, index);
  return index;
};

/** A reservation whose time is over stands in the record until somebody writes it, and is shown to nobody. */
const withoutPast = (host: Host, now: number): Host =>
  (host.reservation ?? null) === null || reservationOf(host, now) !== undefined ? host : { ...host, reservation: null };
/** In one plain sentence; what the last plan said counts for the version that it was made for. */
const doingOf = (host: Host, { doing, packet }: Presence): string => {
  if (host.held !== null) return `held by ${host.held.by}: ${host.held.why}`;
  const planned = doing?.version === host.version ? doing.text : undefined;
  if (planned === undefined && host.failed === null && host.state === 'provisioned') return 'runs its image';
  if (planned === undefined && host.failed === null && host.state === 'available') return 'may be claimed';
  // A packet does not change the host, so nobody has planned anew since.
  if (planned === 'waiting for the first packet' && packet !== undefined && packet.at >= (host.boot?.openedAt ?? Infinity))
    return `waiting for the agent; last seen: ${packet.text}`;
  return planned ?? 'about to take its next step';
};
const viewOf = ({ presence, world }: RackParts, host: Host, index: IdentityIndex): HostView => {
  const here = presence.of(host.id);
  const { progress } = here;
  const busy = progress !== undefined && host.job?.id === progress.job;
  return {
    host: withoutPast(host, world.clock.now()),
    doing: doingOf(host, here),
    ...(busy ? { progress } : {}),
    conflicts: conflictsOf(host, index),
  };
};

const holderOf = async ({ store, keeper }: RackParts, claimId: string): Promise<{ readonly host: Host; readonly released: boolean }> => {
  const row = await store.claim(claimId);
  const host = row === undefined ? undefined : keeper.get(row.hostId);
  if (row === undefined || host === undefined)
    throw new RemudaError('claim-not-found', `there is no claim ${claimId}; \`remuda claim list\` shows all`);
  return { host, released: row.releasedAt !== null };
};
/** The host of a claim that is not over. */
const claimedHost = async (parts: RackParts, claimId: string): Promise<Host & { readonly claim: NonNullable<Host['claim']> }> => {
  const { host } = await holderOf(parts, claimId);
  if (host.claim?.id !== claimId) throw new RemudaError('claim-not-found', `claim ${claimId} was released`);
  return { ...host, claim: host.claim };
};
/** What the next generation is made of: what is not said stays as it is. */
const nextOf = async (
  { images }: RackParts,
  host: Host & { readonly claim: NonNullable<Host['claim']> },
  said: Reprovision,
): Promise<Wanted> => {
  const { intent } = host.claim;
  const userData = said.userData ?? intent.userData;
  const metaData = said.metaData ?? intent.metaData;
  const network = networkOn(host, said.network ?? intent.network);
  const image = await images.find(said.image);
  return {
    image,
    hostName: said.hostName ?? intent.hostName,
    ...(userData === undefined ? {} : { userData }),
    ...(metaData === undefined ? {} : { metaData }),
    ...network,
  };
};
const reprovision = async (parts: RackParts, claimId: string, said: Reprovision, { ifVersion }: Asker): Promise<Host> => {
  const host = await claimedHost(parts, claimId);
  const intent = intentOf(parts.limits, await nextOf(parts, host, said), host.claim.disk);
  return parts.keeper.apply(host.id, { type: 'reprovision', claimId, intent }, ifVersion);
};
const dryReprovision = async (parts: RackParts, claimId: string, said: Reprovision): Promise<DryRun> => {
  const host = await claimedHost(parts, claimId);
  const next = await nextOf(parts, host, said);
  return dryGeneration(host, said.image, () => intentOf(parts.limits, next, host.claim.disk));
};
/** A release that is over is no error: whoever asks twice gets the host as it is. */
const release = async (parts: RackParts, claimId: string, { by, ifVersion }: Asker, { reserve }: ReleaseWish): Promise<Host> => {
  const { host, released } = await holderOf(parts, claimId);
  if (released) return host;
  const kept = reserve === undefined ? {} : { reserve };
  return parts.keeper.apply(host.id, { type: 'release', claimId, by, ...kept }, ifVersion);
};
/** See Rack.standing. The row outlives the claim; what the host says of it is read after it, so that a claim that ends meanwhile is over. */
const standing = async (parts: RackParts, claimId: string): Promise<ClaimStanding> => {
  const { store, keeper } = parts;
  const row = await store.claim(claimId);
  if (row === undefined) return { is: 'unknown' };
  const stored = await store.host(row.hostId);
  if (stored === undefined) return { is: 'over' };
  const known = keeper.get(stored.id);
  const host = known !== undefined && known.version >= stored.version ? known : stored;
  const view = viewOf(parts, host, indexOf(keeper.all()));
  if (host.claim?.id === claimId) return { is: 'held', view };
  if (host.release?.claimId === claimId) return { is: 'leaving', view, offAt: host.release.offAt ?? null };
  return { is: 'over' };
};

/** See Rack.describe. Two hosts in one place of the rack, or of one serial number, are refused: the other one is named. */
const describe = async ({ keeper }: RackParts, idOrName: string, said: Describe, { by, ifVersion }: Asker): Promise<Host> => {
  const { serial, uuid: text, ...patch } = said;
  const host = await keeper.look(idOrName, ifVersion);
  const uuid = text === undefined || text === null ? text : parseUuid(text);
  const roster = rosterOf(keeper.all().filter(({ id }) => id !== host.id));
  const { rack = host.profile.rack, unit = host.profile.unit } = patch;
  const moves = patch.rack !== undefined || patch.unit !== undefined;
  const against = [
    ...(moves ? placeClash({ rack, unit }, roster) : []),
    ...identityClash({ uuid: uuid ?? null, serial: serial ?? null, macs: [] }, roster),
  ];
  if (against.length > 0)
    throw new RemudaError('host-exists', `host ${host.name} cannot be described so: ${against.join('; ')}`, {
      values: { reasons: against },
    });
  return keeper.apply(
    host.id,
    { type: 'described', by, patch, ...(serial === undefined ? {} : { serial }), ...(uuid === undefined ? {} : { uuid }) },
    ifVersion,
  );
};

/** See Rack.accept. A BMC of another host is refused: both would switch one machine. */
const accept = async ({ keeper }: RackParts, idOrName: string, spec: Accept, { by, ifVersion }: Asker): Promise<Host> => {
  const host = keeper.find(idOrName);
  const bmc = spec.bmc === undefined ? undefined : bmcOf(spec.bmc);
  const [twin] = bmcClash(bmc ?? null, rosterOf(keeper.all().filter(({ id }) => id !== host.id)));
  if (twin !== undefined) throw new RemudaError('host-exists', `host ${host.name} cannot be accepted: ${twin}`);
  return keeper.apply(host.id, { type: 'accept', by, ...(bmc === undefined ? {} : { bmc }) }, ifVersion);
};

export const localRack = (parts: RackParts): Rack => {
  const { keeper, presence, store } = parts;
  const waiting = new WaitingRoom();
  const apply = (idOrName: string, event: Parameters<Keeper['apply']>[1], { ifVersion }: Asker): Promise<Host> =>
    Promise.resolve().then(() => keeper.apply(keeper.find(idOrName).id, event, ifVersion));
  return {
    hosts: () =>
      Promise.resolve().then(() => {
        const hosts = keeper.all();
        const index = indexOf(hosts);
        return hosts.map((host) => viewOf(parts, host, index));
      }),
    host: (idOrName) => Promise.resolve().then(() => viewOf(parts, keeper.find(idOrName), indexOf(keeper.all()))),
    enrol: (spec, as) => enrol(parts, spec, as),
    enrolMany: (wanted, as) => enrolMany(parts, wanted, as),
    describe: (idOrName, patch, as) => describe(parts, idOrName, patch, as),
    macs: (idOrName, change, as) => changeMacs(parts, idOrName, change, as),
    setBmc: (idOrName, bmc, as) => setBmc(parts, idOrName, bmc, as),
    accept: (idOrName, spec, as) => accept(parts, idOrName, spec, as),
    power: (idOrName, wanted, as) => power(parts, idOrName, wanted, as),
    locate: (idOrName, wanted, as) => locate(parts, idOrName, wanted, as),
    hold: (idOrName, why, as) => apply(idOrName, { type: 'hold', by: as.by, why }, as),
    unhold: (idOrName, as) => apply(idOrName, { type: 'unhold', by: as.by }, as),
    unreserve: (idOrName, as) => apply(idOrName, { type: 'unreserve', by: as.by }, as),
    retry: (idOrName, as) => apply(idOrName, { type: 'retry', by: as.by }, as),
    forget: (idOrName, { ifVersion }) => Promise.resolve().then(() => keeper.forget(keeper.find(idOrName), ifVersion)),
    claim: (request, as, signal) => waiting.place(parts, request, as, signal),
    dryRun: (request) => dryClaim(parts, request),
    reprovision: (claimId, wanted, as) => reprovision(parts, claimId, wanted, as),
    dryReprovision: (claimId, wanted) => dryReprovision(parts, claimId, wanted),
    dryRelease: async (claimId) => dryRelease((await holderOf(parts, claimId)).host, claimId),
    release: (claimId, as, wish = {}) => release(parts, claimId, as, wish),
    standing: (claimId) => standing(parts, claimId),
    timeline: (idOrName, options) => Promise.resolve().then(() => store.timeline(keeper.find(idOrName).id, options)),
    changed: (ms, signal, hostId) => presence.changed(ms, signal, hostId),
  };
};
