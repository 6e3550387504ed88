/** Options: acknowledged is only what was asked, in the client's spelling, and what makes no sense is left out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/limits.ts';
import { negotiate, type Terms } from '../../src/tftp/negotiate.ts';

const fileBytes = 850_000;
const plain: Terms = { blockBytes: 512, windowBlocks: 1, timeoutMs: 1000, accepted: [] };
type Pairs = readonly (readonly [string, string])[];
const facts: readonly { readonly name: string; readonly asked: Pairs; readonly terms: Partial<Terms>; readonly accepted: Pairs }[] = [
  { name: 'nothing asked', asked: [], terms: {}, accepted: [] },
  {
    name: 'EDK2',
    asked: [
      ['tsize', '0'],
      ['blksize', '1468'],
      ['windowsize', '4'],
    ],
    terms: { blockBytes: 1468, windowBlocks: 4 },
    accepted: [
      ['tsize', '850000'],
      ['blksize', '1468'],
      ['windowsize', '4'],
    ],
  },
  {
    name: 'iPXE asks for no window and gets none',
    asked: [
      ['blksize', '1432'],
      ['tsize', '0'],
    ],
    terms: { blockBytes: 1432 },
    accepted: [
      ['blksize', '1432'],
      ['tsize', '850000'],
    ],
  },
  { name: 'other letters', asked: [['BlkSize', '1024']], terms: { blockBytes: 1024 }, accepted: [['BlkSize', '1024']] },
  {
    name: 'more than we do',
    asked: [
      ['blksize', '65535'],
      ['windowsize', '65535'],
    ],
    terms: { blockBytes: 65_464, windowBlocks: 64 },
    accepted: [
      ['blksize', '65464'],
      ['windowsize', '64'],
    ],
  },
  {
    name: 'out of range or no numbers',
    asked: [
      ['blksize', '7'],
      ['windowsize', '0'],
      ['timeout', '0'],
      ['timeout', '256'],
    ],
    terms: {},
    accepted: [],
  },
  {
    name: 'no numbers',
    asked: [
      ['blksize', '0x400'],
      ['windowsize', '-1'],
      ['timeout', '1e1'],
      ['blksize', ''],
      ['windowsize', '99999999999999999999'],
    ],
    terms: {},
    accepted: [],
  },
  { name: 'timeout', asked: [['timeout', '3']], terms: { timeoutMs: 3000 }, accepted: [['timeout', '3']] },
  {
    name: 'twice: the first counts',
    asked: [
      ['blksize', '1024'],
      ['BLKSIZE', '2048'],
    ],
    terms: { blockBytes: 1024 },
    accepted: [['blksize', '1024']],
  },
  {
    name: 'unknown, and names that every object has',
    asked: [
      ['multicast', ''],
      ['constructor', '1'],
      ['__proto__', '1'],
      ['toString', '1'],
    ],
    terms: {},
    accepted: [],
  },
];
for (const { name, asked, terms, accepted } of facts) {
  test(name, () => {
    const pairs = (list: Pairs) => list.map(([key, value]) => ({ name: key, value }));
    assert.deepEqual(negotiate(pairs(asked), fileBytes, limits), { ...plain, ...terms, accepted: pairs(accepted) });
  });
}
