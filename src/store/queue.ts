/** One job at a time, in the order they came: all handles of the store share one connection, and a transaction spans many microtasks. */
const nothing = (): void => undefined;

export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `job` when all earlier jobs have ended, well or badly. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const done = this.#last.then(job);
    this.#last = done.then(nothing, nothing);
    return done;
  }
}
