/** A rack as a file, CSV or YAML: each row as the API takes a host, with the line on which it stands. */
import { LineCounter, isMap, isSeq, parseDocument } from 'yaml';
import { parseCsv } from './csv.ts';
import { parseLabelEdits } from './labels.ts';
import { reasonOf } from '../errors.ts';

/** One host of the file; what it may say is checked by the daemon. */
export interface EnrolRow {
  readonly line: number;
  readonly host: Readonly<Record<string, unknown>>;
}
export interface EnrolFault {
  readonly line: number;
  readonly message: string;
}
export interface EnrolFile {
  readonly rows: readonly EnrolRow[];
  readonly faults: readonly EnrolFault[];
}

export const columns = [
  'name',
  'macs',
  'firmware',
  'bmc.protocol',
  'bmc.url',
  'bmc.username',
  'bmc.password',
  'bmc.fingerprint',
  'bmc.insecure',
  'bmc.system',
  'serial',
  'uuid',
  'pool',
  'rack',
  'unit',
  'failureDomain',
  'labels',
  'note',
] as const;
type Column = (typeof columns)[number];
const isColumn = (text: string): text is Column => (columns as readonly string[]).includes(text);

const listOf = (text: string): readonly string[] => text.split(/[;\s]+/).filter((word) => word !== '');
/** Throws where a field is not what its column holds. */
const valueOf = (column: Column, text: string): unknown => {
  if (column === 'macs') return listOf(text);
  if (column === 'labels')
    return parseLabelEdits(
      text
        .split(';')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    );
  if (column === 'bmc.insecure') {
    if (!/^(true|false|yes|no)$/i.test(text)) throw new TypeError(`bmc.insecure: ${JSON.stringify(text)} is neither yes nor no`);
    return /^(true|yes)$/i.test(text);
  }
  if (column !== 'unit') return text;
  if (!/^\d{1,3}$/.test(text)) throw new TypeError(`unit: ${JSON.stringify(text)} is no number`);
  return Number(text);
};

const hostOf = (named: ReadonlyMap<Column, string>): Readonly<Record<string, unknown>> => {
  const host: Record<string, unknown> = {};
  const bmc: Record<string, unknown> = {};
  for (const [column, text] of named) {
    if (text === '') continue;
    const [first = '', second] = column.split('.');
    if (second === undefined) host[first] = valueOf(column, text);
    else bmc[second] = valueOf(column, text);
  }
  return Object.keys(bmc).length === 0 ? host : { ...host, bmc };
};

export const readCsvRack = (text: string): EnrolFile => {
  const document = parseCsv(text);
  if ('fault' in document) return { rows: [], faults: [document.fault] };
  const [head, ...records] = document.records;
  if (head === undefined) return { rows: [], faults: [{ line: 1, message: 'the file is empty' }] };
  const strangers = head.fields.filter((name) => !isColumn(name));
  if (strangers.length > 0 || !head.fields.includes('name') || new Set(head.fields).size < head.fields.length)
    return {
      rows: [],
      faults: [
        {
          line: head.line,
          message:
            strangers.length > 0
              ? `there is no column ${strangers.join(', ')}; there may be ${columns.join(', ')}`
              : 'the first line names the columns, each once, among them name',
        },
      ],
    };
  const names = head.fields.filter(isColumn);
  const rows: EnrolRow[] = [];
  const faults: EnrolFault[] = [];
  for (const { line, fields } of records) {
    if (fields.length > names.length) {
      faults.push({ line, message: `has ${fields.length} fields, the first line names ${names.length}` });
      continue;
    }
    try {
      rows.push({ line, host: hostOf(new Map(names.map((name, at) => [name, fields[at] ?? '']))) });
    } catch (error) {
      faults.push({ line, message: reasonOf(error) });
    }
  }
  return { rows, faults };
};

/** A list of hosts, or `hosts:` with one; each as the API takes it. */
export const readYamlRack = (text: string): EnrolFile => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0)
    return {
      rows: [],
      faults: document.errors.map(({ linePos, message }) => ({ line: linePos?.[0].line ?? 1, message: message.split('\n')[0] ?? '' })),
    };
  const list = isSeq(document.contents) ? document.contents : isMap(document.contents) ? document.contents.get('hosts', true) : undefined;
  if (!isSeq(list)) return { rows: [], faults: [{ line: 1, message: 'the file is a list of hosts, or has one under hosts:' }] };
  const rows: EnrolRow[] = [];
  const faults: EnrolFault[] = [];
  for (const item of list.items) {
    const line = isMap(item) && item.range ? lines.linePos(item.range[0]).line : 1;
    if (isMap(item)) rows.push({ line, host: item.toJS(document) as Readonly<Record<string, unknown>> });
    else faults.push({ line, message: 'is no host: a host has at least a name' });
  }
  return { rows, faults };
};

/** By the file's name; undefined where the name says neither. */
export const rackReader = (path: string): ((text: string) => EnrolFile) | undefined =>
  /\.csv$/i.test(path) ? readCsvRack : /\.(ya?ml|json)$/i.test(path) ? readYamlRack : undefined;
