/** How a claim finds its host and its disk: everything is checked before anything is touched, and one host is never given twice. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { BmcDriver } from '../bmc/driver.ts';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { chooseDisk } from '../host/disk.ts';
import type { ClaimAsked, Host, HostBmc, Intent } from '../host/host.ts';
import { aroundOf, countMisfits, misfit, preferenceOf, tellMisfits } from '../host/select.ts';
import type { Misfit, Wish } from '../host/select.ts';
import type { ImageEntry, ImageStore } from '../image/store.ts';
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import { intentOf, networkOn } from './intent.ts';
import type { Keeper } from './keeper.ts';
import type { PresenceBook } from './presence.ts';
import type { Asker, ClaimRequest } from './rack.ts';

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
export interface Claimed {
  readonly host: Host;
  /** This request made the claim. */
  readonly isNew: boolean;
}
type Named = ClaimRequest & { readonly id: string };

/** The request as the claim keeps it. Salted with the claim's ID, so that equal user data of two claims do not show as equal. */
const askedOf = (request: Named): ClaimAsked => {
  const { owner, host, selector, disk, image, hostName, userData, metaData, network, provisionTimeoutSeconds, reuse, placement } = request;
  const hashed = userData === undefined ? undefined : createHash('sha256').update(`${request.id}\n${userData}`).digest('hex');
  const said = {
    owner,
    host,
    selector,
    disk,
    image,
    hostName,
    userData: hashed,
    metaData,
    network,
    provisionTimeoutSeconds,
    reuse,
    placement,
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as it comes back from the store: absent fields are absent
  return JSON.parse(JSON.stringify(said)) as ClaimAsked;
};
/** The first field in which two requests differ. */
const difference = (a: ClaimAsked, b: ClaimAsked): string | undefined => {
  const [before, after]: Readonly<Record<string, unknown>>[] = [{ ...a }, { ...b }];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].find((key) => !isDeepStrictEqual(before?.[key], after?.[key]));
};

/** The host of a claim that was made before; undefined for a new ID. Throws `claim-exists` where it was another request, or is over. */
const standing = async ({ store, keeper }: RackParts, request: Named): Promise<Host | undefined> => {
  const { id } = request;
  const row = await store.claim(id);
  if (row === undefined) return undefined;
  if (row.releasedAt !== null)
    throw new RemudaError('claim-exists', `claim ${id} was released; a claim's ID is never given again: ask under a new one`, {
      values: { claim: id, releasedAt: row.releasedAt },
    });
  const host = await store.host(row.hostId);
  if (host?.claim?.id !== id) return undefined;
  const field = host.claim.asked === undefined ? undefined : difference(host.claim.asked, askedOf(request));
  if (field !== undefined)
    throw new RemudaError(
      'claim-exists',
      `claim ${id} holds host ${host.name} and was asked for with another ${field}: ask as before, reprovision it, or take a new ID`,
      { values: { claim: id, host: host.name, field } },
    );
  return keeper.get(host.id) ?? host;
};

export const wishOf = (request: ClaimRequest, image: ImageEntry): Wish => ({
  selector: request.selector ?? {},
  rule: request.disk,
  imageBytes: image.sizeBytes,
  isNamed: request.host !== undefined,
  ...(request.reuse === undefined ? {} : { reuse: request.reuse }),
  ...(request.placement === undefined ? {} : { placement: request.placement }),
});
/** The intent of this claim on this host. */
export const intentOn = (parts: RackParts, host: Host, request: ClaimRequest, image: ImageEntry): Intent => {
  const { hostName = host.name, userData, metaData, network, disk } = request;
  const choice = chooseDisk(disk, host.inventory?.disks ?? []);
  if ('refused' in choice)
    throw new RemudaError(choice.refused, `host ${host.name}: ${choice.reason}`, { values: { disks: choice.found } });
  const said = { ...(userData === undefined ? {} : { userData }), ...(metaData === undefined ? {} : { metaData }) };
  const wanted = { image, hostName, ...said, ...networkOn(host, network) };
  return intentOf(parts.limits, wanted, choice.chosen);
};
const take = (
  parts: RackParts,
  host: Host,
  request: Named,
  more: { readonly image: ImageEntry; readonly ifVersion?: number },
): Promise<Host> => {
  const choice = chooseDisk(request.disk, host.inventory?.disks ?? []);
  const intent = intentOn(parts, host, request, more.image);
  if ('refused' in choice) throw new RemudaError('internal', `host ${host.name} was chosen for a disk that it has not`);
  const { provisionTimeoutSeconds } = request;
  return parts.keeper.apply(
    host.id,
    {
      type: 'claim',
      id: request.id,
      owner: request.owner,
      intent,
      rule: request.disk,
      disk: choice.chosen,
      asked: askedOf(request),
      ...(provisionTimeoutSeconds === undefined ? {} : { provisionTimeoutSeconds }),
    },
    more.ifVersion,
  );
};

/** Why the host that the owner named cannot be had. */
const refuseNamed = ({ class: name, host, reason }: Misfit): never => {
  if (name === 'uninspected')
    throw new RemudaError('disk-missing', `host ${host.name} cannot be claimed: ${reason}, so its disks are not known`, {
      values: { host: host.name, class: name },
    });
  const passing = ['held', 'failed', 'reserved', 'cleaning', 'busy', 'discovered'].includes(name);
  const code = name === 'claimed' ? 'host-claimed' : passing ? 'state-conflict' : 'no-host-fits';
  throw new RemudaError(code, `host ${host.name} cannot be claimed: ${reason}`, { values: { host: host.name, class: name } });
};
const placeNamed = (parts: RackParts, request: Named, image: ImageEntry, ifVersion: number | undefined): Promise<Host> => {
  const host = parts.keeper.find(request.host ?? '');
  const wish = wishOf(request, image);
  const missed = misfit(host, wish, aroundOf(parts.keeper.all(), wish, parts.world.clock.now()));
  // What is wrong with its disks is told by what is thrown below.
  if (missed !== undefined && missed.class !== 'disk-rule' && missed.class !== 'image-size') refuseNamed(missed);
  return take(parts, host, request, { image, ...(ifVersion === undefined ? {} : { ifVersion }) });
};

/** Somebody else was quicker with this host. */
const lostTo = (error: unknown): boolean =>
  error instanceof RemudaError && ['precondition-failed', 'host-claimed', 'state-conflict', 'host-not-found'].includes(error.code);

/** The best host that fits, taken in the very version in which it was looked at; after a lost race everything is looked at anew. */
const placeBest = async (parts: RackParts, request: Named, image: ImageEntry): Promise<Host> => {
  const wish = wishOf(request, image);
  for (let tries = 1; ; tries++) {
    const hosts = parts.keeper.all();
    const around = aroundOf(hosts, wish, parts.world.clock.now());
    const misfits: Misfit[] = [];
    const fitting = hosts.filter((host) => {
      const missed = misfit(host, wish, around);
      if (missed !== undefined) misfits.push(missed);
      return missed === undefined;
    });
    const [best] = fitting.toSorted(preferenceOf(wish, around));
    if (best === undefined) {
      const classes = countMisfits(misfits, wish);
      throw new RemudaError('no-host-fits', tellMisfits(classes, hosts.length), { values: { lookedAt: hosts.length, classes } });
    }
    try {
      return await take(parts, best, request, { image, ifVersion: best.version });
    } catch (error) {
      // The one that was quicker has written, and the next look sees it.
      if (!lostTo(error) || tries >= parts.limits.claimTries) throw error;
    }
  }
};

const placeOnce = async (parts: RackParts, request: Named, { ifVersion }: Asker): Promise<Claimed> => {
  const before = await standing(parts, request);
  if (before !== undefined) return { host: before, isNew: false };
  const image = await parts.images.find(request.image);
  try {
    const host = await (request.host === undefined ? placeBest(parts, request, image) : placeNamed(parts, request, image, ifVersion));
    return { host, isNew: true };
  } catch (error) {
    // The same request came twice at once, and the other one has it.
    if (!(error instanceof RemudaError) || error.code !== 'claim-exists') throw error;
    const other = await standing(parts, request);
    if (other === undefined) throw error;
    return { host: other, isNew: false };
  }
};

/** Claims that wait until a host fits. There are only so many: each looks at the whole rack again and again. */
export class WaitingRoom {
  #count = 0;
  #placed: Promise<unknown> = Promise.resolve();
  /**
   * The version of one host says nothing of where the others of a group came to stand meanwhile, so claims with a placement are made one
   * after the other. None of them waits in there.
   */
  #inTurn(parts: RackParts, request: Named, as: Asker): Promise<Claimed> {
    if (request.placement === undefined) return placeOnce(parts, request, as);
    const mine = this.#placed.then(() => placeOnce(parts, request, as));
    // The next one's turn comes however this one ended; what it threw is its own caller's.
    this.#placed = mine.catch(() => undefined);
    return mine;
  }
  /** See Rack.claim. While it waits it looks again whenever something of the rack changed, but not more often than `claimLookMs`. */
  async place(parts: RackParts, wanted: ClaimRequest, as: Asker, signal?: AbortSignal): Promise<Claimed> {
    const request = { ...wanted, id: wanted.id ?? parts.newId('c') };
    const once = (): Promise<Claimed> => this.#inTurn(parts, request, as);
    if (request.waitSeconds === 0) return once();
    if (this.#count >= parts.limits.claimsWaitingMax)
      throw new RemudaError('rate-limited', `${this.#count} claims wait for a host already: ask again later, or without waitSeconds`);
    this.#count++;
    try {
      return await placeInTime(parts, request.waitSeconds, once, signal);
    } finally {
      this.#count--;
    }
  }
}
const mayPass = (error: unknown): boolean =>
  error instanceof RemudaError && ['no-host-fits', 'state-conflict', 'host-claimed'].includes(error.code);
const placeInTime = async (
  parts: RackParts,
  waitSeconds: number,
  once: () => Promise<Claimed>,
  signal: AbortSignal | undefined,
): Promise<Claimed> => {
  const { world, presence, limits } = parts;
  const until = world.clock.now() + waitSeconds * 1000;
  const ended = signal === undefined ? world.signal : AbortSignal.any([signal, world.signal]);
  for (;;) {
    const looked = new AbortController();
    const leftMs = until - world.clock.now();
    // Listening begins before looking, so that nothing is missed in between.
    const change = leftMs > 0 ? presence.changed(leftMs, AbortSignal.any([ended, looked.signal])) : undefined;
    try {
      return await once();
    } catch (error) {
      if (!mayPass(error) || change === undefined || ended.aborted) throw error;
      await change;
      if (!ended.aborted) await world.clock.sleep(limits.claimLookMs);
    } finally {
      looked.abort();
    }
  }
};
