/** The metrics as Prometheus reads them: its format, its conventions, and no name that is only declared. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { prometheusMeter } from '../../src/world/meter.ts';
import { counters, durations, gauges, tallies } from '../../src/world/metrics.ts';
import type { CounterName, DurationName, GaugeName, TallyName } from '../../src/world/metrics.ts';
import { readExposition } from './exposition.ts';

/** Every metric once, with a value of its own and labels that need to be quoted. */
const filled = async (): Promise<string> => {
  const meter = prometheusMeter();
  const labelled = (labels: readonly string[]) => Object.fromEntries(labels.map((label) => [label, `a "${label}"\\\n of ours`]));
  for (const [name, { labels }] of Object.entries(counters)) meter.count(name as CounterName, labelled(labels), 3);
  for (const [name, { labels }] of Object.entries(durations))
    for (const seconds of [0.002, 42, 1e6]) meter.took(name as DurationName, seconds, labelled(labels));
  const reading = [...Object.entries(gauges), ...Object.entries(tallies)].map(([name, { labels }], value) => ({
    name: name as GaugeName | TallyName,
    labels: labelled(labels),
    value,
  }));
  await meter.text(reading);
  return meter.text(reading);
};

test('the text is in the format, and all that is declared is in it, by its kind', async () => {
  const families = readExposition(await filled());
  const typed = (names: object, suffix: string, type: string) =>
    Object.keys(names).map((name) => [`remuda_${name}${suffix}`, type] as const);
  const wanted = new Map([
    ...typed(counters, '_total', 'counter'),
    ...typed(tallies, '_total', 'counter'),
    ...typed(durations, '', 'histogram'),
    ...typed(gauges, '', 'gauge'),
  ]);
  const ours = [...families.values()].filter(({ name }) => name.startsWith('remuda_'));
  assert.deepEqual(
    new Map(ours.map(({ name, type }) => [name, type])),
    new Map([...wanted].toSorted(([a], [b]) => ours.findIndex(({ name }) => name === a) - ours.findIndex(({ name }) => name === b))),
  );
  for (const { name, samples } of ours) assert.ok(samples.length > 0, name);
});
test('names and labels keep the conventions: snake case, base units last, `_total` on counters alone, a help that says something', async () => {
  for (const { name, type, help, samples } of readExposition(await filled()).values()) {
    if (!name.startsWith('remuda_')) continue;
    assert.match(name, /^remuda(_[a-z]+)+$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.ok(!/_(ms|milliseconds|minutes|hours|kib|mib|gib|kilobytes|megabytes|percent|count|sum|bucket|info)(_total)?$/.test(name), name);
    if (type === 'histogram') assert.match(name, /_seconds$/);
    assert.ok(help.length > 10 && !help.endsWith('.'), name);
    for (const label of samples.flatMap(({ labels }) => Object.keys(labels))) assert.match(label, /^[a-z]+$/, name);
  }
});
test('buckets grow to what was counted, and a tally read twice is not counted twice', async () => {
  for (const { name, type, samples } of readExposition(await filled()).values()) {
    if (!name.startsWith('remuda_')) continue;
    const value = (suffix: string): number | undefined => samples.find((one) => one.name === `${name}${suffix}`)?.value;
    if (type !== 'histogram') continue;
    const buckets = samples.filter((one) => one.name.endsWith('_bucket'));
    assert.deepEqual(
      buckets.map((one) => one.value),
      buckets.map((one) => one.value).toSorted((a, b) => a - b),
    );
    assert.deepEqual([buckets.at(-1)?.labels['le'], buckets.at(-1)?.value, value('_count')], ['+Inf', 3, 3], name);
  }
  const meter = prometheusMeter();
  const read = async (value: number): Promise<number | undefined> =>
    readExposition(await meter.text([{ name: 'tftp_bytes', value }])).get('remuda_tftp_bytes_total')?.samples[0]?.value;
  assert.deepEqual([await read(5), await read(5), await read(7)], [5, 5, 7]);
});
test('each name is reported somewhere in the source, where its kind is', () => {
  const source = globSync('src/**/*.ts')
    .filter((path) => path !== 'src/world/metrics.ts')
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
  const silent = [
    ...Object.keys(counters).filter((name) => !source.includes(`count('${name}'`)),
    ...Object.keys(durations).filter((name) => !source.includes(`took('${name}'`)),
    ...[...Object.keys(gauges), ...Object.keys(tallies)].filter((name) => !source.includes(`name: '${name}'`)),
  ];
  assert.deepEqual(silent, []);
});
test('the reader sees faults', () => {
  for (const text of [
    'a 1',
    'a 1\n',
    '# HELP a b\n# TYPE a counter\na 1\na 1\n',
    '# HELP a b\n# TYPE a gauge\nb 1\n',
    '# HELP a b\n# TYPE a gauge\na{x="1} 1\n',
    '# HELP a b\n# TYPE a gauge\na x\n',
    '# TYPE a gauge\na 1\n',
  ])
    assert.throws(() => readExposition(text), text);
});
