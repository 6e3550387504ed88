/** Waiting for the end: of the process, of a service, of a person's patience. */

/** Resolves when the signal ends, at once where it has ended; never rejects. */
export const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
