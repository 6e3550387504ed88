/** The small pure parts of the command line: sizes, ages, tables, bars, disk rules, lines of a stream, advice. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHostJson } from '../../src/api/admin-json.ts';
import { diskRuleSchema } from '../../src/host/disk.ts';
import { linesOf } from '../../src/cli/client.ts';
import { parseDisk, parseSize } from '../../src/cli/disk-option.ts';
import { adviceFor, since } from '../../src/cli/host-view.ts';
import { durationText, momentText, plainText, sizeText } from '../../src/cli/human.ts';
import { barLine } from '../../src/cli/progress-bar.ts';
import { colourStyle } from '../../src/cli/style.ts';
import { renderDetails, renderTable } from '../../src/cli/table.ts';
import type { Host } from '../../src/host/host.ts';
import { bareHost, claimOn, minute, now, readyHost } from '../api/admin-rack.ts';

describe('for people', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [268_435_456, '256.0 MiB'],
    [480_103_981_056, '447.1 GiB'],
    [1024 ** 6, '1024.0 PiB'],
  ] as const)
    test(`${bytes} bytes are ${text}`, () => assert.equal(sizeText(bytes), text));
  for (const [ms, text] of [
    [-5000, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [86_400_000, '1 d'],
    [273_600_000, '3 d 4 h'],
  ] as const)
    test(`${ms} ms are ${text}`, () => assert.equal(durationText(ms), text));
  test('a moment is UTC', () => assert.equal(momentText(now), '2026-11-21 02:14:05Z'));
  test('nothing from the wire moves the cursor or turns the line round', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.doesNotMatch(plainText(text), /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      }),
    );
    assert.equal(plainText('a\u001b[31m\u009b1mb\n'), 'a\u00b7[31m\u00b71mb\u00b7');
  });
});

describe('tables', () => {
  test('columns line up, and colour does not shift them', () => {
    const rows = [
      ['a', { text: 'good', tone: 'good' as const }, 'x'],
      ['longer', 'b', ''],
    ];
    const text = renderTable(['n', 'state', 'z'], rows);
    assert.equal(text, 'N       STATE  Z\na       good   x\nlonger  b\n');
    // oxlint-disable-next-line no-control-regex -- the colour is what is taken away
    assert.equal(renderTable(['n', 'state', 'z'], rows, colourStyle).replaceAll(/\u001b\[\d+m/g, ''), text.replace('b\n', 'b\n'));
  });
  test('details line up', () =>
    assert.equal(
      renderDetails([
        ['a', '1'],
        ['long', '2'],
      ]),
      '  a     1\n  long  2\n',
    ));
  test('no line of a table has a line end of a stranger in it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))), (rows) => {
        assert.equal(renderTable(['a', 'b'], rows).split('\n').length, rows.length + 2);
      }),
    );
  });
});

describe('the bar', () => {
  test('never longer than the terminal', () => {
    const amounts = fc.record({
      label: fc.string({ maxLength: 60 }),
      done: fc.nat(),
      total: fc.option(fc.nat(), { nil: undefined }),
      unit: fc.constantFrom('bytes' as const, 'steps' as const),
    });
    fc.assert(
      fc.property(amounts, fc.integer({ min: 1, max: 200 }), (progress, columns) => {
        const line = barLine(progress, columns);
        assert.ok(line.length < columns || line === '', `${line.length} of ${columns}`);
      }),
    );
  });
  test('with and without a total', () => {
    assert.equal(
      barLine({ label: 'x', done: 1024, total: 4096, unit: 'bytes' }, 60),
      'x [#######---------------------]  25 %  1.0 KiB of 4.0 KiB',
    );
    assert.equal(barLine({ label: 'x', done: 1024, unit: 'bytes' }, 60), 'x 1.0 KiB');
  });
});

describe('--disk', () => {
  const rules: readonly [readonly string[], unknown][] = [
    [[], undefined],
    [['serial=S1'], { serial: 'S1' }],
    [['serial=a=b'], { serial: 'a=b' }],
    [['wwn=0x5000'], { wwn: '0x5000' }],
    [['only'], { only: true }],
    [['largest'], { pick: 'largest' }],
    [['size=268435456'], { sizeBytes: 268_435_456 }],
    [['size=100MiB'], { minSizeBytes: 103_809_024, maxSizeBytes: 105_906_176 }],
    [['min-size=1TB', 'smallest'], { minSizeBytes: 1e12, pick: 'smallest' }],
  ];
  for (const [words, rule] of rules)
    test(words.join(' ') || 'nothing', () => {
      assert.deepEqual(parseDisk(words), rule);
      if (rule !== undefined) diskRuleSchema.parse(rule);
    });
  for (const words of [
    ['serial='],
    ['size=0'],
    ['size=-1'],
    ['size=1e9'],
    ['/dev/sda'],
    ['first'],
    ['serial=a', 'serial=b'],
    ['size=1GB', 'max-size=2GB'],
  ])
    test(`refused: ${words.join(' ')}`, () => assert.throws(() => parseDisk(words), { exit: 2 }));
  test('a size that was printed is a size that is found', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1024, max: 2 ** 50 }), (bytes) => {
        const { minSizeBytes = Infinity, maxSizeBytes = 0 } = parseDisk([`size=${sizeText(bytes).replace(' ', '')}`]) ?? {};
        // One decimal of a printed size is at most 5 % off at 1.0.
        const printed = parseSize(sizeText(bytes)) ?? 0;
        assert.ok(Math.abs(printed - bytes) <= 0.05 * 1024 ** Math.floor(Math.log2(bytes) / 10) + 1);
        assert.ok(minSizeBytes <= printed && printed <= maxSizeBytes);
      }),
    );
  });
});

test('lines come out whole, however the stream is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'))),
      fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
      async (lines, sizes) => {
        const bytes = new TextEncoder().encode(lines.join('\n'));
        const cut = async function* (): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < bytes.length;) {
            const size = sizes.next().value;
            yield bytes.subarray(at, at + size);
            at += size;
          }
        };
        assert.deepEqual(await Array.fromAsync(linesOf(cut())), lines);
      },
    ),
  );
});

describe('advice and since', () => {
  const shown = (host: Host) => toHostJson({ host, doing: host.state });
  const failed = { step: 'boot', code: 'internal', reason: 'r', at: now - minute, tries: 1 };
  const cases: readonly { name: string; host: Host; advice: RegExp | undefined; at: number }[] = [
    { name: 'discovered', host: bareHost('h', 'discovered'), advice: /remuda host accept h /, at: now - 60 * minute },
    { name: 'available', host: readyHost('h'), advice: /remuda claim create --host h/, at: now - 10 * minute },
    { name: 'failed with a claim', host: { ...claimOn(readyHost('h')), failed }, advice: /host retry h[^]*host release h/, at: failed.at },
    { name: 'held over failed', host: { ...readyHost('h'), failed, held: { by: 'a', why: 'w', at: now } }, advice: /unhold h/, at: now },
    { name: 'no BMC', host: bareHost('h'), advice: /press its power button/, at: now - 60 * minute },
    { name: 'provisioning by itself', host: claimOn(readyHost('h')), advice: undefined, at: now - 5 * minute },
    {
      name: 'contested',
      host: {
        ...claimOn(readyHost('h')),
        boot: { number: 1, generation: 1, openedAt: now - 3 * minute, armedAt: now - 2 * minute, contestedAt: now },
      },
      advice: /second server with this MAC/,
      at: now - 2 * minute,
    },
  ];
  for (const { name, host, advice, at } of cases)
    test(name, () => {
      const text = adviceFor(shown(host)).join('\n');
      if (advice === undefined) assert.equal(text, '');
      else assert.match(text, advice);
      assert.equal(since(shown(host)), at);
    });
});
