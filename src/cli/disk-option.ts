/** `--disk`: which disk a claim names, from the words of a command line to the rule the API takes. */
import type { DiskRuleBody } from '../api/types.ts';
import { usage } from './failure.ts';

/** 480GB as disks are sold, 256MiB as memory is counted. */
const factors: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1000,
  m: 1000 ** 2,
  mb: 1000 ** 2,
  g: 1000 ** 3,
  gb: 1000 ** 3,
  t: 1000 ** 4,
  tb: 1000 ** 4,
  ki: 1024,
  kib: 1024,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
  ti: 1024 ** 4,
  tib: 1024 ** 4,
  p: 1000 ** 5,
  pb: 1000 ** 5,
  pi: 1024 ** 5,
  pib: 1024 ** 5,
};
/** Bytes of `480GB`, `256MiB`, `268435456`; undefined where the text is no size. */
export const parseSize = (text: string): number | undefined => {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]{0,3})$/.exec(text.trim()) ?? [];
  const factor = factors[unit.toLowerCase()];
  if (digits === '' || factor === undefined) return undefined;
  const bytes = Math.round(Number(digits) * factor);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
};

const sizeOf = (name: string, text: string): number => {
  const bytes = parseSize(text);
  if (bytes === undefined)
    throw usage(`--disk ${name}=${text}: not a size; write bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB, TiB`);
  return bytes;
};
/** A disk sold as 480 GB has 480,103,981,056 bytes: with a unit, a size means within 1 %; bare bytes are exact. */
const roughly = (text: string): DiskRuleBody => {
  const bytes = sizeOf('size', text);
  if (/^\d+$/.test(text.trim())) return { sizeBytes: bytes };
  return { minSizeBytes: Math.floor(bytes * 0.99), maxSizeBytes: Math.ceil(bytes * 1.01) };
};

const one = (word: string): DiskRuleBody => {
  if (word === 'only') return { only: true };
  if (word === 'smallest' || word === 'largest') return { pick: word };
  const at = word.indexOf('=');
  const name = at < 0 ? word : word.slice(0, at);
  const value = at < 0 ? '' : word.slice(at + 1);
  if (value !== '' && name === 'serial') return { serial: value };
  if (value !== '' && name === 'wwn') return { wwn: value };
  if (value !== '' && name === 'size') return roughly(value);
  if (value !== '' && name === 'min-size') return { minSizeBytes: sizeOf(name, value) };
  if (value !== '' && name === 'max-size') return { maxSizeBytes: sizeOf(name, value) };
  throw usage(`--disk ${word}: not a way to name a disk; use serial=…, wwn=…, size=…, min-size=…, max-size=…, only, smallest or largest`);
};

/** Each `--disk` narrows the rule further; undefined where none was given. Throws a usage failure, also where two contradict. */
export const parseDisk = (words: readonly string[]): DiskRuleBody | undefined => {
  if (words.length === 0) return undefined;
  const rule: Record<string, unknown> = {};
  for (const word of words)
    for (const [name, value] of Object.entries(one(word))) {
      if (Object.hasOwn(rule, name)) throw usage(`--disk ${word}: the same was already said differently`);
      rule[name] = value;
    }
  return rule;
};
