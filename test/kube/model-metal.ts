/** Metal in memory whose hosts follow the real rulebook, and where the test is the weather: it boots, cuts power, cleans and goes away. */
import assert from 'node:assert/strict';
import { toHostJson } from '../../src/api/admin-json.ts';
import type { HostJson } from '../../src/api/types.ts';
import { RemudaError } from '../../src/errors.ts';
import { chooseDisk } from '../../src/host/disk.ts';
import type { HostEvent } from '../../src/host/events.ts';
import { newHost, reservationOf } from '../../src/host/host.ts';
import type { Host, Profile } from '../../src/host/host.ts';
import type { Inventory } from '../../src/host/inventory.ts';
import { profileOf } from '../../src/host/profile.ts';
import { byPreference, countMisfits, misfit, tellMisfits } from '../../src/host/select.ts';
import type { Misfit } from '../../src/host/select.ts';
import { transition } from '../../src/host/transition.ts';
import type { Metal, Standing } from '../../src/kube/metal.ts';
import { parseMac } from '../../src/wire/address.ts';
import { inventory } from '../host/make.ts';

export interface Call {
  readonly verb: 'claim' | 'release' | 'reprovision';
  readonly claimId: string;
  readonly outcome: string;
}
type Request = Parameters<Metal['claim']>[0];
const digest = `sha256:${'a'.repeat(64)}`;

export class ModelMetal implements Metal {
  readonly #hosts = new Map<string, Host>();
  readonly #over = new Set<string>();
  readonly #waiting = new Set<() => void>();
  readonly #now: () => number;
  /** Everything that touched metal, oldest first. */
  readonly calls: Call[] = [];
  readonly requests: Request[] = [];
  /** Asked before each call that touches metal. */
  before: (call: Omit<Call, 'outcome'>) => void = () => undefined;
  /** What `images` tells; a claim takes any name but `missing`. */
  catalogue: Awaited<ReturnType<Metal['images']>> = [];
  isAway = false;
  doing = 'waiting for the first packet';
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An available host. */
  add(name: string, part: Partial<Inventory> = {}, profile: Partial<Parameters<typeof profileOf>[0]> = {}): void {
    const number = this.#hosts.size + 1;
    const mac = parseMac(`52:54:00:00:01:${number.toString(16).padStart(2, '0')}`);
    assert.ok(mac !== undefined);
    const bmc = { protocol: 'redfish' as const, url: `https://10.0.1.${number}`, username: 'root', password: 'hush' };
    const said: Profile = profileOf(profile);
    const host = newHost({ id: `id-${name}`, name, state: 'enrolled', macs: [mac], bmc, profile: said }, this.#now());
    this.#hosts.set(name, { ...host, state: 'available', firmware: 'bios', inventory: { ...inventory, ...part } });
    this.#tell();
  }
  leases = async ({ macs }: { readonly macs: readonly string[] }): Promise<readonly string[]> =>
    macs.map((mac) => `10.0.2.${Number.parseInt(mac.slice(-2), 16)}`);
  of(name: string): Host {
    const host = this.#hosts.get(name);
    assert.ok(host !== undefined, `no host ${name}`);
    return host;
  }
  get all(): readonly Host[] {
    return [...this.#hosts.values()];
  }
  apply(name: string, event: HostEvent): void {
    const verdict = transition(this.of(name), event, this.#now());
    assert.ok('host' in verdict, `${event.type} on ${name}: ${JSON.stringify(verdict)}`);
    this.#hosts.set(name, { ...verdict.host, version: verdict.host.version + 1 });
    this.#tell();
  }
  forget(name: string): void {
    this.#hosts.delete(name);
    this.#tell();
  }
  #work(name: string, kind: 'install' | 'clean'): string {
    const host = this.of(name);
    const of = kind === 'install' ? host.claim : host.release;
    assert.ok(of !== null);
    this.apply(name, { type: 'boot-opened' });
    this.apply(name, { type: 'boot-armed', note: '' });
    this.apply(name, { type: 'boot-powered' });
    const boot = this.of(name).boot?.number ?? 0;
    this.apply(name, { type: 'redeemed', boot, publicKey: 'key' });
    this.apply(name, { type: 'inventory', boot, inventory: host.inventory ?? inventory });
    const claimId = kind === 'install' ? (host.claim?.id ?? '') : (host.release?.claimId ?? '');
    const id = `${boot}.${of.generation}.${kind}`;
    this.apply(name, {
      type: 'job-given',
      job: { id, kind, boot, claimId, generation: of.generation, disk: of.disk, givenAt: this.#now() },
    });
    this.apply(name, { type: 'job-started', jobId: id });
    return id;
  }
  /** The image is written, and its OS tells that it is up. */
  boot(name: string): void {
    this.apply(name, { type: 'installed', jobId: this.#work(name, 'install'), digest });
    const { claim } = this.of(name);
    assert.ok(claim !== null);
    if (claim.intent.phoneHome !== 'none')
      this.apply(name, { type: 'phoned-home', claimId: claim.id, generation: claim.generation, hostName: claim.intent.hostName });
  }
  off(name: string): void {
    this.apply(name, { type: 'power-seen', power: 'off', release: this.of(name).release?.claimId ?? '' });
  }
  clean(name: string): void {
    const claimId = this.of(name).release?.claimId;
    this.apply(name, { type: 'cleaned', jobId: this.#work(name, 'clean') });
    if (claimId !== undefined) this.#over.add(claimId);
  }

  hosts(): Promise<readonly HostJson[]> {
    return this.#here(() => this.all.map((host) => this.#json(host)));
  }
  host(idOrName: string): Promise<HostJson> {
    return this.#here(() => {
      const found = this.all.find(({ id, name }) => id === idOrName || name === idOrName);
      if (found === undefined) throw new RemudaError('host-not-found', `there is no host ${idOrName}`);
      return this.#json(found);
    });
  }
  images(): ReturnType<Metal['images']> {
    return this.#here(() => this.catalogue);
  }
  standing(claimId: string): Promise<Standing> {
    return this.#here(() => this.#standing(claimId));
  }
  claim(request: Request): Promise<{ readonly host: HostJson; readonly isNew: boolean }> {
    this.requests.push(request);
    return this.#grave({ verb: 'claim', claimId: request.id }, () => {
      const standing = this.#standing(request.id);
      if (standing.is === 'held') return { host: standing.host, isNew: false };
      if (standing.is !== 'unknown') throw new RemudaError('claim-exists', `claim ${request.id} was released`);
      if (request.image === 'missing') throw new RemudaError('image-not-found', 'there is no image missing');
      const host = this.#choose(request);
      const choice = chooseDisk(request.disk, host.inventory?.disks ?? []);
      assert.ok('chosen' in choice);
      const { hostName = host.name, userData } = request;
      const network = request.network ?? host.profile.network ?? undefined;
      const intent = {
        image: digest,
        imageName: request.image,
        imageSizeBytes: 512,
        phoneHome: 'image' as const,
        hostName,
        ...(userData === undefined ? {} : { userData }),
        ...(network === undefined ? {} : { network }),
      };
      this.apply(host.name, { type: 'claim', id: request.id, owner: request.owner, intent, rule: request.disk, disk: choice.chosen });
      return { host: this.#json(this.of(host.name)), isNew: true };
    });
  }
  reprovision(claimId: string, wanted: Parameters<Metal['reprovision']>[1]): Promise<HostJson> {
    return this.#grave({ verb: 'reprovision', claimId }, () => {
      const host = this.all.find(({ claim }) => claim?.id === claimId);
      if (host?.claim === undefined || host.claim === null) throw new RemudaError('claim-not-found', `no claim ${claimId}`);
      const intent = { ...host.claim.intent, imageName: wanted.image };
      this.apply(host.name, { type: 'reprovision', claimId, intent });
      return this.#json(this.of(host.name));
    });
  }
  release(claimId: string, { reserve }: Parameters<Metal['release']>[1]): Promise<void> {
    return this.#grave({ verb: 'release', claimId }, () => {
      const host = this.all.find((one) => one.claim?.id === claimId);
      if (host === undefined) return;
      this.apply(host.name, { type: 'release', claimId, by: 'test', ...(reserve === undefined ? {} : { reserve }) });
      if (this.of(host.name).release === null) this.#over.add(claimId);
    });
  }
  power(): ReturnType<Metal['power']> {
    return Promise.reject(new RemudaError('bmc-unreachable', 'the model has no BMCs'));
  }
  retry(idOrName: string): Promise<void> {
    return this.#here(() => this.apply(idOrName, { type: 'retry', by: 'test' }));
  }
  timeline(): ReturnType<Metal['timeline']> {
    return Promise.resolve([]);
  }
  changed(_ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
      if (signal.aborted) done();
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #tell(): void {
    for (const done of Array.from(this.#waiting)) done();
  }
  #json(host: Host): HostJson {
    return toHostJson({ host, doing: host.failed === null ? this.doing : `failed at ${host.failed.step}: ${host.failed.reason}` });
  }
  #standing(claimId: string): Standing {
    const holder = this.all.find(({ claim }) => claim?.id === claimId);
    if (holder !== undefined) return { is: 'held', host: this.#json(holder) };
    const leaving = this.all.find(({ release }) => release?.claimId === claimId);
    if (leaving !== undefined) return { is: 'leaving', host: this.#json(leaving), offAt: leaving.release?.offAt ?? null };
    return { is: this.#over.has(claimId) ? 'over' : 'unknown' };
  }
  #choose({ selector = {}, disk, host: named, reuse }: Request): Host {
    const now = this.#now();
    const wish = { selector, rule: disk, imageBytes: 512, isNamed: named !== undefined, ...(reuse === undefined ? {} : { reuse }) };
    const misfits: Misfit[] = [];
    const fitting = this.all.filter((host) => {
      if (named !== undefined && host.name !== named) return false;
      const missed = misfit(host, wish, { now, awaited: undefined, places: new Map() });
      if (missed !== undefined) misfits.push(missed);
      return missed === undefined;
    });
    const kept = fitting.filter((host) => reuse !== undefined && reservationOf(host, now)?.for === reuse.of);
    const best = [...kept, ...fitting.toSorted(byPreference)][0];
    if (best !== undefined) return best;
    const classes = countMisfits(misfits, wish);
    throw new RemudaError('no-host-fits', tellMisfits(classes, this.#hosts.size), { values: { lookedAt: this.#hosts.size, classes } });
  }
  async #here<T>(run: () => T): Promise<T> {
    await Promise.resolve();
    if (this.isAway) throw new RemudaError('timed-out', 'the daemon does not answer');
    return run();
  }
  async #grave<T>(call: Omit<Call, 'outcome'>, run: () => T): Promise<T> {
    this.before(call);
    try {
      const done = await this.#here(run);
      this.calls.push({ ...call, outcome: 'done' });
      return done;
    } catch (error) {
      this.calls.push({ ...call, outcome: error instanceof RemudaError ? error.code : String(error) });
      throw error;
    }
  }
}
