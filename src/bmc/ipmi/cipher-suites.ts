/** The list of cipher suites that a BMC tells (IPMI 2.0 §22.15.1): records of a tag, an ID, and one byte for each algorithm. */
import type { Algorithms } from './opening.ts';

export interface SuiteRecord extends Algorithms {
  readonly id: number;
}
/** First bytes of a record: one of the specification's suites, or one of a manufacturer (whose number follows). */
const standard = 0xc0;
const oem = 0xc1;
const oemNumberBytes = 3;
/** The top bits of an algorithm's byte say which of the three it is. */
const kinds = ['authentication', 'integrity', 'confidentiality'] as const;

/** Whatever the bytes, what can be read of them: a BMC's list is only a hint. Of several algorithms of one kind, the last. */
export const suitesIn = (records: Uint8Array): readonly SuiteRecord[] => {
  const found: { id: number; authentication: number; integrity: number; confidentiality: number }[] = [];
  for (let at = 0; at < records.length;) {
    const tag = records[at];
    if (tag === standard || tag === oem) {
      const id = records[at + 1];
      if (id !== undefined && tag === standard) found.push({ id, authentication: 0, integrity: 0, confidentiality: 0 });
      at += tag === oem ? 2 + oemNumberBytes : 2;
      continue;
    }
    const byte = tag ?? 0;
    const kind = kinds[byte >>> 6];
    const last = found.at(-1);
    if (kind !== undefined && last !== undefined) last[kind] = byte & 0x3f;
    at += 1;
  }
  return found;
};

/** The records of a BMC that has these suites. */
export const suiteRecords = (known: readonly SuiteRecord[]): Uint8Array =>
  Uint8Array.from(
    known.flatMap(({ id, authentication, integrity, confidentiality }) => [
      standard,
      id,
      authentication,
      0x40 | integrity,
      0x80 | confidentiality,
    ]),
  );
