/** The meter of the process: counters, histograms and gauges in the text form that Prometheus reads, by prom-client. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { counters, durations, gauges, tallies } from './metrics.ts';
import type { CounterName, DurationName, GaugeName, Labels, TallyName } from './metrics.ts';
import type { Meter } from './world.ts';

/** Read at the moment of the question: what a gauge or a tally shows for each set of labels. */
export type Reading = readonly { readonly name: GaugeName | TallyName; readonly labels?: Labels; readonly value: number }[];
export interface PrometheusMeter extends Meter {
  readonly contentType: string;
  /** All metrics, the process's own among them (resident memory, CPU seconds, event loop, open descriptors). */
  text(reading: Reading): Promise<string>;
}

const prefix = 'remuda_';
/** From a fast answer to a slow provisioning: 1 ms to 30 min. */
const buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60, 120, 300, 600, 1800];

const mapOf = <N extends string, T>(
  table: Readonly<Record<N, { readonly help: string; readonly labels: readonly string[] }>>,
  make: (name: N, facts: { readonly help: string; readonly labelNames: string[] }) => T,
): ReadonlyMap<N, T> =>
  new Map((Object.keys(table) as N[]).map((name) => [name, make(name, { help: table[name].help, labelNames: [...table[name].labels] })]));

const isTally = (name: GaugeName | TallyName): name is TallyName => name in tallies;

export const prometheusMeter = (): PrometheusMeter => {
  const registers = [new Registry()] as const;
  const [registry] = registers;
  const counting = mapOf<CounterName, Counter>(
    counters,
    (name, facts) => new Counter({ name: `${prefix}${name}_total`, ...facts, registers: [registry] }),
  );
  const timing = mapOf<DurationName, Histogram>(
    durations,
    (name, facts) => new Histogram({ name: `${prefix}${name}`, ...facts, buckets, registers: [registry] }),
  );
  const showing = mapOf<GaugeName, Gauge>(
    gauges,
    (name, facts) => new Gauge({ name: `${prefix}${name}`, ...facts, registers: [registry] }),
  );
  const tallying = mapOf<TallyName, Counter>(
    tallies,
    (name, facts) => new Counter({ name: `${prefix}${name}_total`, ...facts, registers: [registry] }),
  );
  const show = ({ name, labels = {}, value }: Reading[number]): void => {
    if (isTally(name)) tallying.get(name)?.inc({ ...labels }, value);
    else showing.get(name)?.set({ ...labels }, value);
  };
  collectDefaultMetrics({ register: registry });
  return {
    count: (name, labels = {}, by = 1) => counting.get(name)?.inc({ ...labels }, by),
    took: (name, seconds, labels = {}) => timing.get(name)?.observe({ ...labels }, seconds),
    contentType: registry.contentType,
    text: async (reading) => {
      for (const metric of [...showing.values(), ...tallying.values()]) metric.reset();
      for (const one of reading) show(one);
      return await registry.metrics();
    },
  };
};
