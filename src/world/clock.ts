/** Wall time and waiting, by Node's own timers; everything that waits ends with the world. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './world.ts';

/** Node's timers take a signed 32-bit count of ms; a longer one would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** A clock whose timers end when `worldSignal` does. */
export const realClock = (worldSignal: AbortSignal): Clock => {
  const after = (ms: number, run: () => void): (() => void) => {
    if (worldSignal.aborted) return () => {};
    let timer: NodeJS.Timeout;
    const cancel = (): void => {
      clearTimeout(timer);
      worldSignal.removeEventListener('abort', cancel);
    };
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, timerMsMax);
      timer = setTimeout(() => {
        if (leftMs > stepMs) return arm(leftMs - stepMs);
        cancel();
        run();
      }, stepMs);
    };
    arm(Math.max(0, ms));
    worldSignal.addEventListener('abort', cancel, { once: true });
    return cancel;
  };
  return {
    now: () => Date.now(),
    sleep: async (ms, signal) => {
      const ends = signal === undefined ? worldSignal : AbortSignal.any([worldSignal, signal]);
      try {
        for (let leftMs = Math.max(0, ms); leftMs > 0; leftMs -= timerMsMax)
          await delay(Math.min(leftMs, timerMsMax), undefined, { signal: ends });
      } catch (error) {
        // Node wraps the reason in an AbortError of its own; our callers compare with the reason they gave.
        throw ends.aborted ? ends.reason : error;
      }
    },
    after,
    soon: (run) => {
      setImmediate(run);
    },
  };
};
