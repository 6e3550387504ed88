/** The text format of Prometheus, read as strictly as `promtool check metrics` reads it. */
import assert from 'node:assert/strict';

export interface Sample {
  /** With the suffix: `…_bucket`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const keyOf = ({ name, labels }: Sample): string =>
  JSON.stringify([name, Object.entries(labels).toSorted(([one], [other]) => (one < other ? -1 : 1))]);
const sampleForm = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const labelForm = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/y;
const labelsOf = (text: string): Readonly<Record<string, string>> => {
  const labels: Record<string, string> = {};
  for (labelForm.lastIndex = 0; labelForm.lastIndex < text.length;) {
    const [, name = '', value = ''] = labelForm.exec(text) ?? assert.fail(`labels: ${text}`);
    assert.ok(!(name in labels), `label ${name} twice`);
    labels[name] = value;
  }
  return labels;
};
const numberOf = (text: string): number => (text === '+Inf' ? Infinity : text === 'Nan' || text === 'NaN' ? NaN : Number(text));
const sampleOf = (line: string): Sample => {
  const [, name = '', labels = '', value = ''] = sampleForm.exec(line) ?? assert.fail(`no sample: ${line}`);
  assert.ok(value === 'Nan' || value === 'NaN' || !Number.isNaN(numberOf(value)), line);
  return { name, labels: labelsOf(labels), value: numberOf(value) };
};

/** Throws where the text is not in the format: each family once, HELP and TYPE before its samples, each sample once, all of them its own. */
export const readExposition = (text: string): ReadonlyMap<string, Family> => {
  assert.ok(text.endsWith('\n'), 'ends with a line feed');
  const families = new Map<string, Family & { samples: Sample[] }>();
  let last: (Family & { samples: Sample[] }) | undefined;
  let help: readonly [string, string] | undefined;
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') help = [name, rest];
    else if (kind === 'TYPE') {
      assert.ok(help?.[0] === name, `${name} has its HELP first`);
      assert.ok(!families.has(name), `${name} stands twice`);
      last = { name, type: rest, help: help[1], samples: [] };
      families.set(name, last);
    } else if (!line.startsWith('#')) {
      const sample = sampleOf(line);
      const suffix = last === undefined ? undefined : sample.name.slice(last.name.length);
      const suffixes =
        last?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : last?.type === 'summary' ? ['', '_sum', '_count'] : [''];
      assert.ok(
        last !== undefined && sample.name.startsWith(last.name) && suffixes.includes(suffix ?? '?'),
        `${line} stands under ${last?.name ?? 'nothing'}`,
      );
      const key = keyOf(sample);
      assert.ok(!last.samples.some((one) => keyOf(one) === key), `${line} stands twice`);
      last.samples.push(sample);
    }
  }
  return families;
};
