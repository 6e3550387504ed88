/** What would happen to every disk of a host: by a claim, by its next generation, by its release. Changes nothing. */
import { RemudaError } from '../errors.ts';
import { chooseDisk, describeDisk, identityOf, isSameDisk } from '../host/disk.ts';
import type { DiskIdentity } from '../host/disk.ts';
import type { Host } from '../host/host.ts';
import { aroundOf, misfit, preferenceOf } from '../host/select.ts';
import type { Around } from '../host/select.ts';
import type { ImageEntry } from '../image/store.ts';
import { intentOn, wishOf } from './claiming.ts';
import type { RackParts } from './claiming.ts';
import type { ClaimRequest, DiskFate, DryRun } from './rack.ts';

type Fate = Pick<DiskFate, 'fate' | 'why'>;
/** One line a disk; `named` is the one that would be written. */
const disksOf = (host: Host, named: DiskIdentity | undefined, fate: Fate): readonly DiskFate[] => {
  const found = host.inventory?.disks ?? [];
  const rest = found.map((one): DiskFate => {
    const disk = identityOf(one);
    if (named !== undefined && isSameDisk(disk, named)) return { disk, ...fate };
    return { disk, fate: 'untouched', why: one.removable ? 'removable' : one.readOnly ? 'read-only' : 'not named by the claim' };
  });
  const isThere = named === undefined || found.some((one) => isSameDisk(identityOf(one), named));
  return isThere ? rest : [{ disk: named, fate: 'untouched', why: 'named, but the last inspection did not find it' }, ...rest];
};
/** What stands against it, in the words of the refusal itself. */
const against = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof RemudaError) return error.message;
    throw error;
  }
};

interface Seen {
  readonly image: ImageEntry;
  readonly around: Around;
}
const claimOn = (parts: RackParts, host: Host, request: ClaimRequest, { image, around }: Seen): DryRun => {
  const choice = chooseDisk(request.disk, host.inventory?.disks ?? []);
  const unfit = misfit(host, wishOf(request, image), around)?.reason ?? against(() => intentOn(parts, host, request, image));
  const named = JSON.stringify(request.disk);
  const fate: Fate =
    unfit === undefined
      ? { fate: 'overwritten', why: `named by ${named}` }
      : { fate: 'untouched', why: `named, but the claim is refused: ${unfit}` };
  return {
    host: host.name,
    hostId: host.id,
    allowed: unfit === undefined,
    reason: unfit ?? 'the claim would be granted',
    image: request.image,
    disks: disksOf(host, 'chosen' in choice ? choice.chosen : undefined, fate),
  };
};
/** Each host that the claim might take, the one that it would take first. */
export const dryClaim = async (parts: RackParts, request: ClaimRequest): Promise<readonly DryRun[]> => {
  const image = await parts.images.find(request.image);
  const all = parts.keeper.all();
  const wish = wishOf(request, image);
  const around = aroundOf(all, wish, parts.world.clock.now());
  const hosts = request.host === undefined ? all.toSorted(preferenceOf(wish, around)) : [parts.keeper.find(request.host)];
  const runs = hosts.map((host) => claimOn(parts, host, request, { image, around }));
  return [...runs.filter((run) => run.allowed), ...runs.filter((run) => !run.allowed)];
};

/** The next generation: `reason` says why it would be refused. */
export const dryGeneration = (host: Host, image: string, attempt: () => unknown): DryRun => {
  const { claim } = host;
  const isPlaced = host.state === 'provisioned' || host.state === 'provisioning';
  const unfit = isPlaced && claim !== null ? against(attempt) : `host ${host.name} is ${host.state}`;
  const fate: Fate =
    unfit === undefined
      ? { fate: 'overwritten', why: `the disk of claim ${claim?.id ?? ''}` }
      : { fate: 'untouched', why: `the disk of the claim, but the reprovision is refused: ${unfit}` };
  return {
    host: host.name,
    hostId: host.id,
    allowed: unfit === undefined,
    reason: unfit ?? `generation ${(claim?.generation ?? 0) + 1} would be put on ${claim === null ? 'no disk' : describeDisk(claim.disk)}`,
    image,
    disks: disksOf(host, claim?.disk, fate),
  };
};
/** The release: a disk is cleaned only where it may have been written. */
export const dryRelease = (host: Host, claimId: string): DryRun => {
  const dirty = host.facts.dirty ?? undefined;
  const isHeld = host.claim?.id === claimId;
  const reason = !isHeld
    ? `claim ${claimId} was released already`
    : dirty === undefined
      ? 'nothing was written: the host would be available at once'
      : `${describeDisk(dirty)} would be cleaned; the host is unallocatable until then`;
  return {
    host: host.name,
    hostId: host.id,
    allowed: isHeld,
    reason,
    image: null,
    disks: disksOf(host, isHeld ? dirty : undefined, { fate: 'cleaned', why: 'written under this claim' }),
  };
};
