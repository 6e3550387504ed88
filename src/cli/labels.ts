/** Labels as people write them: selectors to choose hosts by (`tier=web,disk!=hdd,zone in (a,b),gpu,!old`), and edits (`tier=web old-`). */
import { usage } from './failure.ts';

/** What one label must be, as the API's selectors say it. */
export type LabelTest = string | { readonly in: readonly string[] } | { readonly notIn: readonly string[] } | { readonly exists: boolean };
export type LabelTests = Readonly<Record<string, LabelTest>>;

const key = String.raw`[A-Za-z0-9][A-Za-z0-9._/-]*`;
const forms: readonly { readonly form: RegExp; readonly test: (value: string) => LabelTest }[] = [
  { form: new RegExp(`^(${key})\\s+in\\s+\\(([^()]*)\\)$`), test: (list) => ({ in: wordsOf(list) }) },
  { form: new RegExp(`^(${key})\\s+notin\\s+\\(([^()]*)\\)$`), test: (list) => ({ notIn: wordsOf(list) }) },
  { form: new RegExp(`^(${key})\\s*!=\\s*([^\\s=!,()]*)$`), test: (value) => ({ notIn: [value] }) },
  { form: new RegExp(`^(${key})\\s*==?\\s*([^\\s=!,()]*)$`), test: (value) => value },
  { form: new RegExp(`^(${key})$`), test: () => ({ exists: true }) },
  { form: new RegExp(`^!\\s*(${key})$`), test: () => ({ exists: false }) },
];
const wordsOf = (list: string): readonly string[] => list.split(',').map((word) => word.trim());
const testOf = (part: string): readonly [string, LabelTest] => {
  for (const { form, test } of forms) {
    const [, name, value = ''] = form.exec(part) ?? [];
    if (name !== undefined) return [name, test(value)];
  }
  throw usage(
    `${JSON.stringify(part)} is no label to select by`,
    'write tier=web, tier!=web, "tier in (web,db)", "tier notin (web)", tier or !tier',
  );
};

/** Several selectors are joined; a label may be tested once, because the API has one test a label. */
export const parseSelectors = (texts: readonly string[]): LabelTests => {
  // A comma inside parentheses belongs to a list.
  const parts = texts.flatMap((text) => text.split(/,(?![^()]*\))/)).map((part) => part.trim());
  const tests: Record<string, LabelTest> = {};
  for (const [name, test] of parts.filter((part) => part !== '').map(testOf)) {
    if (Object.hasOwn(tests, name)) throw usage(`label ${name} is tested twice: say it once`);
    tests[name] = test;
  }
  return tests;
};
const passes = (test: LabelTest, value: string | undefined): boolean => {
  if (typeof test === 'string') return value === test;
  if ('in' in test) return value !== undefined && test.in.includes(value);
  if ('notIn' in test) return value === undefined || !test.notIn.includes(value);
  return (value !== undefined) === test.exists;
};
export const passesAll = (tests: LabelTests, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(tests).every(([name, test]) => passes(test, Object.hasOwn(labels, name) ? labels[name] : undefined));

/** `tier=web` sets, `old-` takes away. */
export const parseLabelEdits = (words: readonly string[]): Readonly<Record<string, string | null>> => {
  const edits: Record<string, string | null> = {};
  for (const word of words) {
    const [, name, value, away] = new RegExp(`^(${key}?)(?:=(.*)|(-))$`).exec(word) ?? [];
    if (name === undefined) throw usage(`${JSON.stringify(word)} is no change of a label`, 'write key=value, or key- to take it away');
    if (Object.hasOwn(edits, name)) throw usage(`label ${name} is changed twice: say it once`);
    edits[name] = away === undefined ? (value ?? '') : null;
  }
  return edits;
};
/** `a=1,b=2` in the order of the keys. */
export const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
