/** The forms of an answer: text for people, wide text, the daemon's own document as JSON or YAML, or only the names in it. */
import { stringify } from 'yaml';
import { usage } from './failure.ts';
import { plainText } from './human.ts';

export const formats = ['text', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];
export interface OutputOptions {
  readonly json?: boolean;
  readonly output?: Format;
  readonly quiet?: boolean;
}

export const formatOf = ({ json, output, quiet }: OutputOptions): Format => {
  const said = [
    ...(json === true ? ['json' as const] : []),
    ...(output === undefined ? [] : [output]),
    ...(quiet === true ? ['name' as const] : []),
  ];
  if (new Set(said).size > 1) throw usage('--json, --output and --quiet contradict each other: say one of them');
  return said[0] ?? 'text';
};

const nameOf = (item: unknown): readonly string[] => {
  if (typeof item !== 'object' || item === null) return typeof item === 'string' ? [item] : [];
  const fields = item as Readonly<Record<string, unknown>>;
  for (const field of ['name', 'id', 'address', 'host']) {
    const value = fields[field];
    if (typeof value === 'string') return [value];
  }
  return [];
};
/** What the things in a document are called, one a line: for `xargs` and `for`. */
export const namesIn = (raw: unknown): readonly string[] => {
  const list =
    typeof raw === 'object' && raw !== null && 'items' in raw && Array.isArray(raw.items) ? (raw.items as readonly unknown[]) : [raw];
  return list.flatMap(nameOf);
};

/** The document in a form for machines; `text` is asked only where a person reads. */
export const printed = (format: Format, raw: unknown, text: () => string): string => {
  if (format === 'json') return `${JSON.stringify(raw ?? null, null, 2)}\n`;
  if (format === 'yaml') return stringify(raw ?? null);
  if (format === 'name')
    return namesIn(raw)
      .map((name) => `${plainText(name)}\n`)
      .join('');
  return text();
};
