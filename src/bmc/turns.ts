/** Turns: work that must not overlap, served in the order it came. */

/** A queue of one server; work after a failed one runs all the same. Where `signal` ended while waiting, the work is not started. */
export const turns = (): (<T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>) => {
  let last: Promise<unknown> = Promise.resolve();
  return (work, signal) => {
    const mine = last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    last = mine.catch(() => undefined);
    return mine;
  };
};
