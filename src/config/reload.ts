/** What of a changed configuration a running daemon can take up, and what waits for its next start. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { limitsOf } from './config.ts';
import type { Config } from './config.ts';
import type { Limits } from '../limits.ts';

export interface ReloadPlan {
  /** What the daemon runs by from now on: the new settings where they can be taken up, the old ones elsewhere. */
  readonly running: Config;
  /** Settings that changed and hold at once, by their paths. */
  readonly applied: readonly string[];
  /** Settings that changed and hold after a restart, by their paths. */
  readonly restart: readonly string[];
}

/** Read once, when a socket, the store or the door of the API is made; all others are read where they are used. */
export const limitsAtStart: readonly (keyof Limits)[] = [
  'dhcpReceiveBytes',
  'storeBusyMs',
  'storeBytesMax',
  'apiRequestsPerSecond',
  'apiRequestsBurst',
  'apiRefusalsPerMinute',
  'apiRefusalsBurst',
  'apiPeersMax',
  'apiHeldMax',
  'apiHeldPerCallerMax',
  'auditRefusalsPerMinute',
  'auditRefusalsBurst',
];

/** Sockets and boot listeners stand on these; other subnets may come and go behind them. */
const doorsOf = ({ subnets }: Config): readonly string[] =>
  [...new Set(subnets.map(({ interface: name, serverAddress }) => `${name} ${serverAddress}`))].toSorted();

const changedKeys = (before: object, after: object): readonly string[] => {
  const [old, now] = [before, after] as readonly Readonly<Record<string, unknown>>[];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !isDeepStrictEqual(old?.[name], now?.[name]));
};
const subnetPaths = (before: Config, after: Config): readonly string[] => {
  const most = Math.max(before.subnets.length, after.subnets.length);
  return Array.from({ length: most }, (_one, at) => at).flatMap((at) => {
    const [old, now] = [before.subnets[at], after.subnets[at]];
    if (old === undefined || now === undefined) return [`subnets.${at}`];
    return changedKeys(old, now).map((name) => `subnets.${at}.${name}`);
  });
};

/** Which limits hold from now on; those that were read at the start keep their values. */
const limitsAfter = (before: Config, after: Config): Config['limits'] => {
  const kept = Object.entries(before.limits).filter(([name]) => isAtStart(name));
  const taken = Object.entries(after.limits).filter(([name]) => !isAtStart(name));
  return Object.fromEntries([...taken, ...kept]);
};
const isAtStart = (name: string): boolean => limitsAtStart.some((one) => one === name);

/** Compares what the daemon runs by with a configuration that was judged and found right. */
export const planReload = (before: Config, after: Config): ReloadPlan => {
  const applied: string[] = [];
  const restart: string[] = [];
  const sameDoors = isDeepStrictEqual(doorsOf(before), doorsOf(after));
  for (const name of changedKeys(before, after)) {
    if (name === 'subnets') (sameDoors ? applied : restart).push(...subnetPaths(before, after));
    else if (name === 'limits')
      for (const limit of changedKeys(limitsOf(before), limitsOf(after))) (isAtStart(limit) ? restart : applied).push(`limits.${limit}`);
    else if (name === 'accept' || name === 'log') applied.push(name);
    else if (name === 'images') applied.push(...changedKeys(before.images, after.images).map((inner) => `images.${inner}`));
    else if (name === 'boot') restart.push(...changedKeys(before.boot, after.boot).map((inner) => `boot.${inner}`));
    else restart.push(name);
  }
  const running: Config = {
    ...before,
    accept: after.accept,
    log: after.log,
    images: after.images,
    limits: limitsAfter(before, after),
    ...(sameDoors ? { subnets: after.subnets } : {}),
  };
  return { running, applied, restart };
};

/** What the daemon runs by. One object of limits for all rooms: a reload changes what they read at their next use. */
export class RunningConfig {
  readonly limits: Limits;
  #config: Config;

  constructor(config: Config) {
    this.#config = config;
    this.limits = limitsOf(config);
  }
  get config(): Config {
    return this.#config;
  }
  /** Takes up what can change, all at once. `next` was judged and found right before. */
  take(next: Config): ReloadPlan {
    const plan = planReload(this.#config, next);
    this.#config = plan.running;
    Object.assign(this.limits, limitsOf(plan.running));
    return plan;
  }
}
