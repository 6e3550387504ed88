/** What the parts do, counted: wrappers that daemon.ts puts around drivers, routes, activations and changes, so that no room knows of them. */
import type { BmcDriver } from './bmc/driver.ts';
import type { Activation } from './control/loop.ts';
import { codeOf, reasonOf } from './errors.ts';
import type { Host } from './host/host.ts';
import type { Clock, HttpReply, Meter, Route } from './world/world.ts';

/** Nobody watches: tests and simulations. */
export const silentMeter: Meter = { count: () => undefined, took: () => undefined };

/** The same driver, its commands counted by what one reading showed afterwards. */
export const meteredDriver = (driver: BmcDriver, meter: Meter): BmcDriver => {
  const counted = async <T>(wanted: string, act: () => Promise<T>, settled: (outcome: T) => boolean): Promise<T> => {
    try {
      const outcome = await act();
      meter.count('power_commands', { wanted, outcome: settled(outcome) ? 'settled' : 'unsettled' });
      return outcome;
    } catch (error) {
      meter.count('power_commands', { wanted, outcome: codeOf(error) });
      throw error;
    }
  };
  return {
    identify: (signal) => driver.identify(signal),
    readPower: (signal) => driver.readPower(signal),
    setPower: (wanted, signal) =>
      counted(
        wanted,
        () => driver.setPower(wanted, signal),
        ({ settled }) => settled,
      ),
    bootOnceFromNetwork: (firmware, signal) =>
      counted(
        'boot-once',
        () => driver.bootOnceFromNetwork(firmware, signal),
        ({ settled }) => settled,
      ),
    command: (action, signal) =>
      counted(
        action,
        () => driver.command(action, signal),
        () => true,
      ),
    setBoot: (wish, signal) =>
      counted(
        'set-boot',
        () => driver.setBoot(wish, signal),
        ({ settled }) => settled,
      ),
    locate: (seconds, signal) =>
      counted(
        'locate',
        () => driver.locate(seconds, signal),
        ({ settled }) => settled,
      ),
    close: () => driver.close(),
  };
};

/** One activation, timed; a step is named where one was taken. */
export const meteredActivation = async (
  clock: Pick<Clock, 'now'>,
  meter: Meter,
  activate: () => Promise<Activation>,
): Promise<Activation> => {
  const began = clock.now();
  const activation = await activate();
  meter.count('control_runs', { result: activation.result });
  meter.took('control_step_seconds', (clock.now() - began) / 1000, {
    step: activation.result === 'done' ? activation.step : activation.result,
  });
  return activation;
};

const bytesOf = ({ body }: HttpReply): number => (typeof body === 'object' && 'length' in body ? body.length : 0);
/** The routes of the boot listeners, counted by path and status, image bytes by what was given out. */
export const meteredRoutes = (routes: readonly Route[], meter: Meter): readonly Route[] =>
  routes.map((route) => ({
    ...route,
    handle: async (request) => {
      const isTicket = route.path.startsWith('/boot/');
      try {
        const reply = await route.handle(request);
        meter.count('boot_requests', { route: route.path, status: String(reply.status) });
        if (isTicket) meter.count('boot_tickets', { outcome: 'script' });
        if (route.path.startsWith('/chunks/') && request.method === 'GET') meter.count('image_bytes', {}, bytesOf(reply));
        return reply;
      } catch (error) {
        meter.count('boot_requests', { route: route.path, status: codeOf(error) });
        if (isTicket) meter.count('boot_tickets', { outcome: codeOf(error) });
        throw error;
      }
    },
  }));

/** Looks on while the store writes: how long it takes, and whether the last change could be kept. */
export class WriteWatch {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #meter: Meter;
  #failure: string | undefined;

  constructor(clock: Pick<Clock, 'now'>, meter: Meter) {
    this.#clock = clock;
    this.#meter = meter;
  }
  /** Why the last change was not kept; undefined where it was. */
  get failure(): string | undefined {
    return this.#failure;
  }
  async around<T>(write: Promise<T>): Promise<T> {
    const began = this.#clock.now();
    try {
      const value = await write;
      this.#failure = undefined;
      return value;
    } catch (error) {
      // What the rulebook or another writer refused says nothing about the disk.
      if (['disk-full', 'internal'].includes(codeOf(error))) this.#failure = reasonOf(error);
      throw error;
    } finally {
      this.#meter.took('store_write_seconds', (this.#clock.now() - began) / 1000);
    }
  }
}

/** How the boot ended between these two looks; undefined where none did. */
const bootEnd = (before: Known, host: Host): string | undefined => {
  const { boot, bootTries, failed } = host;
  const was = before.openBoot;
  if (was === undefined) return undefined;
  // One that was replaced by the next between two looks brought no agent that anybody saw.
  const now = boot?.number === was ? boot : undefined;
  if (now !== undefined && now.closedAt === undefined) return undefined;
  if (now?.contestedAt !== undefined) return 'contested';
  if (bootTries > before.bootTries || (failed !== null && failed.at !== before.failedAt)) return 'failed';
  return now?.redeemed === undefined ? 'given_up' : 'served';
};

interface Known {
  readonly state: Host['state'];
  readonly since: number;
  readonly failedAt: number | undefined;
  /** The number of the boot that is not over yet. */
  readonly openBoot: number | undefined;
  readonly bootTries: number;
  /** When the present generation was asked for. */
  readonly generation: number;
  readonly askedAt: number;
}
/** Follows hosts by their changes: transitions, boots that ended, time in a state, time from the claim (or its next generation) to provisioned. */
export class HostMeter {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #meter: Meter;
  readonly #known = new Map<string, Known>();

  constructor(clock: Pick<Clock, 'now'>, meter: Meter) {
    this.#clock = clock;
    this.#meter = meter;
  }
  /** As it is when the daemon starts, or after a change. */
  note(host: Host): void {
    const now = this.#clock.now();
    const before = this.#known.get(host.id);
    const generation = host.claim?.generation ?? 0;
    const isSameWish = before !== undefined && before.generation === generation;
    const askedAt = isSameWish ? before.askedAt : generation === 1 ? (host.claim?.createdAt ?? now) : now;
    const since = before?.state === host.state ? before.since : now;
    const openBoot = host.boot?.closedAt === undefined ? host.boot?.number : undefined;
    const { bootTries } = host;
    this.#known.set(host.id, { state: host.state, since, failedAt: host.failed?.at, openBoot, bootTries, generation, askedAt });
    if (before === undefined) return;
    const end = bootEnd(before, host);
    if (end !== undefined) this.#meter.count('boots', { outcome: end });
    if (host.failed !== null && host.failed.at !== before.failedAt) this.#meter.count('host_failures', { code: host.failed.code });
    if (before.state === host.state) return;
    this.#meter.count('host_transitions', { from: before.state, to: host.state });
    this.#meter.took('state_seconds', (now - before.since) / 1000, { state: before.state });
    if (host.state === 'provisioned') this.#meter.took('provision_seconds', (now - askedAt) / 1000);
  }
  forget(hostId: string): void {
    this.#known.delete(hostId);
  }
}
