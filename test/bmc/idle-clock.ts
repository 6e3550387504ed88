/** A clock that jumps to the next timer whenever nothing else can happen: hours pass in a test without waiting. */
import type { Clock } from '../../src/world/world.ts';

/** Starts at 2026-01-01. */
export const idleClock = (): Clock => {
  let now = Date.UTC(2026, 0, 1);
  let order = 0;
  const timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  let pumping = false;
  const pump = (): void => {
    const [next] = [...timers].toSorted(([a, one], [b, other]) => one.at - other.at || a - b);
    pumping = next !== undefined;
    if (next === undefined) return;
    timers.delete(next[0]);
    now = Math.max(now, next[1].at);
    next[1].run();
    setImmediate(pump);
  };
  const after = (ms: number, run: () => void): (() => void) => {
    const id = (order += 1);
    timers.set(id, { at: now + ms, run });
    if (!pumping) setImmediate(pump);
    pumping = true;
    return () => void timers.delete(id);
  };
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const cancel = after(ms, resolve);
        signal?.addEventListener('abort', () => (cancel(), reject(signal.reason)), { once: true });
      }),
    after,
    soon: (run) => void setImmediate(run),
  };
};
