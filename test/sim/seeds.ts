/** What the simulation tries: random days by their seed, and the life of two servers with a crash of the daemon at any one event of it. */
import assert from 'node:assert/strict';
import { moodNames } from './bmcs.ts';
import { SimRack } from './rack.ts';
import type { RackOptions } from './rack.ts';
import { day, life } from './scenarios.ts';

/** What the seeds together must have seen, or they prove nothing. */
export const sights: readonly string[] = [
  'a datagram is lost',
  'a call is lost',
  'an answer is lost',
  'a datagram comes long after its time',
  'a byte to or from a BMC is wrong',
  'the daemon crashes',
  'the daemon is asked to end',
  'the configuration is read anew',
  'a host stands behind a relay',
  'a BMC is silent',
  'a BMC goes away after it took the boot flags',
  'an agent dies half-way',
  'somebody presses the power button',
  'a provisioned host is changed',
  'a host is changed while it is provisioned',
  'a NIC is replaced',
  'a stranger shows the UUID of a host',
  'two claims meet at one host',
  'a rival claims a claimed host',
  'a claim chooses its host',
  'several claims choose at once',
  'a host leaves its pool while somebody chooses it',
  'an operator adopts a MAC',
  'a thief shows an old ticket',
  'a day ends provisioned',
  ...moodNames,
];

export interface TrialOptions {
  /** A second run shows that nothing but the seed decides. */
  readonly runs: number;
  /** Gets each line of the trace of the first run. */
  readonly trace?: ((line: string) => void) | undefined;
}
export type Seen = ReadonlyMap<string, number>;

const inRack = async (options: RackOptions, act: (rack: SimRack) => Promise<void>): Promise<SimRack> => {
  const rack = await SimRack.make(options);
  try {
    await act(rack);
    return rack;
  } finally {
    rack.dispose();
  }
};
const traced = (trace: TrialOptions['trace']): Pick<RackOptions, 'trace'> => (trace === undefined ? {} : { trace });

/** Half of the days wait long for a BMC: then steps lie far apart. */
const patience = (seed: number): Pick<RackOptions, 'limits'> => (seed % 2 === 0 ? { limits: { powerStepMs: 150_000 } } : {});
/** A random day in bad weather. Throws the first thing that was not as it must be. */
export const tryDay = async (seed: number, { runs, trace }: TrialOptions): Promise<Seen> => {
  const first = await inRack({ seed, ...patience(seed), ...traced(trace) }, day);
  for (let again = 1; again < runs; again++) {
    const other = await inRack({ seed, ...patience(seed) }, day);
    assert.equal(other.scheduler.fingerprint, first.scheduler.fingerprint, 'two runs of one seed differ: something but the seed decides');
  }
  return first.scheduler.seen;
};

const calmly = { seed: 1, calm: true };
/** The numbers of the events of the life in a calm world. */
export const lifeEvents = async (): Promise<{ readonly first: number; readonly last: number }> => {
  let first = 0;
  const rack = await inRack(calmly, async (made) => {
    first = made.scheduler.count + 1;
    await life(made);
  });
  return { first, last: rack.scheduler.count };
};
/**
 * The life with one crash after the given event. Every step of the plan lies between two events, and every call between several: a crash at each
 * event in turn is a crash before, between and after every step. The life must come to the same end each time; an installation that was cut off
 * may begin again, a disk is written by nobody else.
 */
export const tryCrash = (at: number, trace?: TrialOptions['trace']): Promise<Seen> => interrupted(at, 'crash', trace);
/** The same with SIGTERM: the daemon ends in time, and the next one goes on. */
export const tryStop = (at: number, trace?: TrialOptions['trace']): Promise<Seen> => interrupted(at, 'stop', trace);

const interrupted = async (at: number, how: 'crash' | 'stop', trace: TrialOptions['trace']): Promise<Seen> => {
  const rack = await inRack({ ...calmly, ...traced(trace) }, async (made) => {
    let isOver = false;
    made.scheduler.always(() => {
      if (isOver || made.scheduler.count < at || (how === 'stop' && made.daemon === undefined)) return;
      isOver = true;
      if (how === 'crash') made.crash();
      else made.terminate();
    });
    await life(made);
  });
  assert.deepEqual([rack.crashes, rack.stops], how === 'crash' ? [1, 0] : [0, 1]);
  return rack.scheduler.seen;
};
