/** Comma-separated values (RFC 4180) with the line of each record; quotes, quoted line ends and CRLF as spreadsheets write them. */

export interface CsvRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}
export interface CsvFault {
  readonly line: number;
  readonly message: string;
}
export type CsvDocument = { readonly records: readonly CsvRecord[] } | { readonly fault: CsvFault };

/** A field from `from`: what it says and where it ends; undefined where a quote is not closed or followed by something. */
const fieldAt = (text: string, from: number): { readonly value: string; readonly end: number } | undefined => {
  if (text[from] !== '"') {
    const length = text.slice(from).search(/[,\r\n]/);
    const end = length < 0 ? text.length : from + length;
    return { value: text.slice(from, end), end };
  }
  let value = '';
  for (let at = from + 1; ;) {
    const close = text.indexOf('"', at);
    if (close < 0) return undefined;
    value += text.slice(at, close);
    if (text[close + 1] !== '"') return /^[,\r\n]?$/.test(text[close + 1] ?? '') ? { value, end: close + 1 } : undefined;
    value += '"';
    at = close + 2;
  }
};
const linesIn = (text: string): number => text.split('\n').length - 1;

/** Empty lines and lines that begin with `#` are passed over; fields are trimmed. */
export const parseCsv = (source: string): CsvDocument => {
  // A spreadsheet marks UTF-8 with a byte order mark.
  const text = source.replace(/^\uFEFF/, '');
  const records: CsvRecord[] = [];
  let line = 1;
  for (let at = 0; at < text.length;) {
    if (text[at] === '#') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    }
    const begin = line;
    const fields: string[] = [];
    for (;;) {
      const field = fieldAt(text, at);
      if (field === undefined) return { fault: { line: begin, message: 'a quoted field is not closed, or something follows its quote' } };
      fields.push(field.value.trim());
      line += linesIn(text.slice(at, field.end));
      at = field.end;
      if (text[at] !== ',') break;
      at += 1;
    }
    if (fields.some((field) => field !== '')) records.push({ line: begin, fields });
    at += text.startsWith('\r\n', at) ? 2 : 1;
    line += 1;
  }
  return { records };
};
