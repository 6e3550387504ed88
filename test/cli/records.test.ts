/** What is said of hosts: a rack as a file, labels, profiles, MACs, BMCs; and what a claim asks of its host. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseCsv } from '../../src/cli/csv.ts';
import { readCsvRack, readYamlRack } from '../../src/cli/enrol-file.ts';
import { CommandFailure } from '../../src/cli/failure.ts';
import { labelsText, parseLabelEdits, parseSelectors, passesAll } from '../../src/cli/labels.ts';
import { enrolSchema } from '../../src/control/rack.ts';
import { claimOn, readyHost } from '../api/admin-rack.ts';
import { bench } from './bench.ts';

describe('CSV', () => {
  test('quotes, line ends inside them, CRLF, comments, a byte order mark; each record knows its line', () => {
    const text = '\uFEFFname,note\r\n# a comment, with a comma\r\nh1,"two\nlines, ""quoted"""\r\n\r\nh2 , plain \n,\n"h3",';
    assert.deepEqual(parseCsv(text), {
      records: [
        { line: 1, fields: ['name', 'note'] },
        { line: 3, fields: ['h1', 'two\nlines, "quoted"'] },
        { line: 6, fields: ['h2', 'plain'] },
        { line: 8, fields: ['h3', ''] },
      ],
    });
  });
  test('a quote that is not closed, or goes on', () => {
    for (const text of ['a,b\n"c', 'a\n"b"c,d'])
      assert.deepEqual(parseCsv(text), { fault: { line: 2, message: 'a quoted field is not closed, or something follows its quote' } });
  });
  test('what is written is read', () => {
    const field = fc.string().map((text) => text.trim().replace(/^\uFEFF/, ''));
    const record = fc.array(field, { minLength: 1, maxLength: 4 }).filter((fields) => fields.some((one) => one !== ''));
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        const text = records.map((fields) => fields.map((one) => `"${one.replaceAll('"', '""')}"`).join(',')).join('\n');
        const read = parseCsv(text);
        assert.deepEqual('records' in read ? read.records.map(({ fields }) => fields) : read, records);
      }),
    );
  });
  test('any bytes at all end', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', '#', 'a', ' ') }), (text) => {
        parseCsv(text);
      }),
    );
  });
});

describe('a rack as a file', () => {
  const csv = `name,macs,bmc.url,bmc.username,rack,unit,labels,note
h1,52:54:00:00:00:01;52:54:00:00:00:02,ipmi://10.0.0.6,root,r1,7,tier=web;disk=ssd,"by the door"
h2,52:54:00:00:00:03,https://10.0.0.7,root,r1,,,
`;
  const h1 = {
    name: 'h1',
    macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
    bmc: { url: 'ipmi://10.0.0.6', username: 'root' },
    rack: 'r1',
    unit: 7,
    labels: { tier: 'web', disk: 'ssd' },
    note: 'by the door',
  };
  test('CSV and YAML say the same', () => {
    assert.deepEqual(readCsvRack(csv).rows[0], { line: 2, host: h1 });
    const yaml = `hosts:\n  - name: h1\n    macs: ['52:54:00:00:00:01', '52:54:00:00:00:02']\n    bmc: { url: 'ipmi://10.0.0.6', username: root }\n    rack: r1\n    unit: 7\n    labels: { tier: web, disk: ssd }\n    note: by the door\n`;
    assert.deepEqual(readYamlRack(yaml).rows, [{ line: 2, host: h1 }]);
  });
  test('faults, all with their lines', () => {
    const lines = (text: string, read: typeof readCsvRack) => read(text).faults.map(({ line, message }) => `${line}: ${message}`);
    assert.deepEqual(lines('name,unit,labels\nh1,x,\nh2,1,a=b;a=c\nh3,1,,,\n', readCsvRack), [
      '2: unit: "x" is no number',
      '3: label a is changed twice: say it once',
      '4: has 5 fields, the first line names 3',
    ]);
    assert.match(lines('name,colour\n', readCsvRack).join(), /^1: there is no column colour; there may be name, macs/);
    assert.match(lines('macs\n', readCsvRack).join(), /among them name$/);
    assert.deepEqual(lines('', readCsvRack), ['1: the file is empty']);
    assert.deepEqual(lines('- name: a\n- b\n', readYamlRack), ['1: is no host: a host has at least a name']);
    assert.deepEqual(lines('a: 1\n', readYamlRack), ['1: the file is a list of hosts, or has one under hosts:']);
    assert.match(lines('a: [\n', readYamlRack).join(), /^2: /);
  });
  const file = async () => {
    const ours = await bench();
    await ours.files.makeFolder('/home/ann');
    await ours.files.write('/home/ann/rack.csv', csv);
    return ours;
  };
  test('a dry run: the password for all from the environment, the protocol from the URL; a table with the lines of the file', async () => {
    const { rack, run } = await file();
    const { exit, out, err } = await run('host enrol --file rack.csv --dry-run', { env: { REMUDA_BMC_PASSWORD: 'hunter3' } });
    assert.equal(err, '');
    assert.equal(exit, 0);
    const [asked] = rack.asked;
    assert.equal(asked?.verb, 'enrolMany');
    const sent = asked.args[0] as { dryRun: boolean; hosts: { bmc: { password: string; protocol?: string } }[] };
    assert.equal(sent.dryRun, true);
    assert.deepEqual(
      sent.hosts.map(({ bmc }) => [bmc.password, bmc.protocol]),
      [
        ['hunter3', 'ipmi'],
        ['hunter3', undefined],
      ],
    );
    assert.match(out, /^LINE {2}NAME +OUTCOME +WHY\n2 +h1 +would be enrolled/);
    assert.match(out, /\n3 +h2 +would be enrolled[^]*2 would be enrolled\. Nothing was changed\.\n$/);
    assert.ok(!out.includes('hunter3'));
  });
  test('a password from standard input; with --json the lines stand beside the rows', async () => {
    const { rack, run } = await file();
    const { json } = await run('host enrol --file rack.csv --bmc-password-stdin --json', { input: 'piped\n' });
    assert.deepEqual(
      (json() as { rows: { line: number }[] }).rows.map(({ line }) => line),
      [2, 3],
    );
    assert.equal((rack.asked[0]?.args[0] as { hosts: { bmc: { password: string } }[] } | undefined)?.hosts[0]?.bmc.password, 'piped');
  });
  test('what is wrong with the file is said before anything is sent', async () => {
    const { rack, files, run } = await file();
    await files.write('/home/ann/bad.csv', 'name,unit\nh1,x\n');
    const cases: readonly [string, RegExp][] = [
      ['host enrol --file bad.csv', /bad\.csv:2: unit: "x" is no number\nnext: {2}mend the file; nothing was sent/],
      ['host enrol --file rack.txt', /must end in \.csv, \.yaml/],
      ['host enrol h1 --file rack.csv', /name one host, or many/],
      ['host enrol', /name one host, or many/],
      ['host enrol h1 --mac 52:54:00:00:00:01 --dry-run', /are for --file/],
    ];
    for (const [line, says] of cases) {
      const { exit, err } = await run(line);
      assert.match(err, says, line);
      assert.equal(exit, 2, line);
    }
    assert.deepEqual(rack.asked, []);
  });
});

describe('labels', () => {
  test('selectors', () => {
    assert.deepEqual(parseSelectors(['a=1,b!=2,c==3', 'd in (x, y),e notin (z),f,!g/h']), {
      a: '1',
      b: { notIn: ['2'] },
      c: '3',
      d: { in: ['x', 'y'] },
      e: { notIn: ['z'] },
      f: { exists: true },
      'g/h': { exists: false },
    });
    for (const wrong of ['=a', 'a=b=c', 'a in b', 'a b', 'a=1,a=2']) assert.throws(() => parseSelectors([wrong]), CommandFailure, wrong);
  });
  test('a host passes or not', () => {
    const labels = { tier: 'web', disk: 'ssd' };
    const passes = (text: string): boolean => passesAll(parseSelectors([text]), labels);
    for (const yes of ['', 'tier=web', 'tier!=db', 'none!=x', 'tier in (db,web)', 'none notin (a)', 'disk', '!none'])
      assert.ok(passes(yes), yes);
    for (const no of ['tier=db', 'tier!=web', 'none=x', 'tier in (db)', 'none in (a)', 'tier notin (web)', 'none', '!disk', 'constructor'])
      assert.ok(!passes(no), no);
  });
  test('edits', () => {
    assert.deepEqual(parseLabelEdits(['a=1', 'b-', 'c=', 'x-y=z-']), { a: '1', b: null, c: '', 'x-y': 'z-' });
    for (const wrong of ['a', '=1', '-', 'a=1 b'])
      if (wrong !== 'a=1 b') assert.throws(() => parseLabelEdits([wrong]), CommandFailure, wrong);
    assert.equal(labelsText({ b: '2', a: '1' }), 'a=1,b=2');
  });
});

describe('what is asked of the rack', () => {
  const cases: readonly { line: string; asked: readonly unknown[]; says?: RegExp }[] = [
    {
      line: 'host describe h1 --pool gpu --rack r1 --unit 7 --label tier=web --clear note --clear serial',
      asked: ['describe', 'h1', { pool: 'gpu', rack: 'r1', unit: 7, labels: { tier: 'web' }, note: null, serial: null }],
      says: /^h1\n +pool +/,
    },
    { line: 'host label h1 tier=web old-', asked: ['describe', 'h1', { labels: { tier: 'web', old: null } }] },
    { line: 'host note h1 a new fan', asked: ['describe', 'h1', { note: 'a new fan' }] },
    { line: 'host note h1', asked: ['describe', 'h1', { note: null }] },
    { line: 'host mac adopt h1 52:54:00:00:00:09', asked: ['macs', 'h1', { adopt: '52:54:00:00:00:09' }] },
    { line: 'host mac remove h1 52:54:00:00:00:09', asked: ['macs', 'h1', { remove: '52:54:00:00:00:09' }] },
    {
      line: 'host bmc set h1 --bmc-url ipmi://10.0.0.6 --bmc-username root --bmc-suite 1 --no-check',
      asked: [
        'setBmc',
        'h1',
        { protocol: 'ipmi', url: 'ipmi://10.0.0.6', username: 'root', password: 'hunter3', suites: [1], check: false },
      ],
    },
    { line: 'host bmc remove h1', asked: ['setBmc', 'h1', null] },
    { line: 'host power h1 cycle', asked: ['power', 'h1', 'cycle'] },
    { line: 'host locate h1', asked: ['locate', 'h1', { on: true, seconds: 60 }], says: /^the light is on\n$/ },
    { line: 'host locate h1 off', asked: ['locate', 'h1', { on: false, seconds: 60 }] },
  ];
  for (const { line, asked, says } of cases)
    test(line, async () => {
      const { rack, run } = await bench();
      const { exit, err, out } = await run(line, { env: { REMUDA_BMC_PASSWORD: 'hunter3' } });
      assert.equal(err, '');
      assert.equal(exit, 0);
      const [one] = rack.asked;
      assert.deepEqual([one?.verb, ...(one?.args ?? [])].slice(0, asked.length), asked);
      if (says !== undefined) assert.match(out, says);
    });
  test('a claim by what its host must be', async () => {
    const { rack, run } = await bench();
    const line =
      'claim create --image debian -l tier=web,!old --pool gpu --cores 8 --memory 64GiB --disk-size 480GB --wait-for-host 5m --provision-timeout 2h';
    assert.equal((await run(line)).exit, 0);
    const [asked] = rack.asked;
    const { selector, waitSeconds, provisionTimeoutSeconds } = (asked?.args[0] ?? {}) as Readonly<Record<string, unknown>>;
    assert.deepEqual(selector, {
      pool: 'gpu',
      cores: 8,
      labels: { tier: 'web', old: { exists: false } },
      memoryBytes: 64 * 1024 ** 3,
      diskBytes: 480_000_000_000,
    });
    assert.deepEqual([waitSeconds, provisionTimeoutSeconds], [300, 7200]);
  });
  test('dry runs of a release and a reprovision change nothing', async () => {
    for (const line of ['claim release c-h2 --dry-run', 'host release h2 --dry-run', 'host reprovision h2 --image debian --dry-run']) {
      const { rack, run } = await bench();
      rack.put(claimOn(readyHost('h2')));
      const { out, exit } = await run(line, { tty: true, env: { NO_COLOR: '1' } });
      assert.equal(exit, 0, line);
      assert.match(out, /Nothing was changed/, line);
      assert.ok(
        rack.asked.every(({ verb }) => verb.startsWith('dry')),
        line,
      );
    }
  });
  test('waiting ends with 5 where it takes too long, and the work goes on', async () => {
    const { rack, run } = await bench();
    rack.put(claimOn(readyHost('h1')));
    const { exit, err } = await run('host reprovision h1 --image debian --wait --timeout 30s');
    assert.equal(exit, 5);
    assert.match(err, /^error: host h1 is not provisioned within 30 s: .*\nnext: {2}it goes on without you/m);
    assert.equal((await run('host reprovision h1 --image debian --timeout 30s')).exit, 2);
    assert.equal((await run('host reprovision h1 --image debian --wait --timeout soon')).exit, 2);
  });
  test('what runs for an owner is not cut off unasked', async () => {
    const { rack, run } = await bench();
    rack.put({ ...claimOn(readyHost('h1')), state: 'provisioned' });
    const { exit, err } = await run('host power h1 off', { tty: true, answers: ['n'], env: { NO_COLOR: '1' } });
    assert.equal(exit, 1);
    assert.match(err, /Host h1 runs debian of operator\. It is switched off without being asked to end\./);
    assert.deepEqual(rack.asked, []);
    assert.match((await run('host power h1 status')).out, /^power is on\n$/);
  });
  test('labels and places in the wide list, and to filter by', async () => {
    const { rack, run } = await bench();
    const host = readyHost('h2');
    rack.put({ ...host, profile: { ...host.profile, pool: 'gpu', rack: 'r1', unit: 7, labels: { tier: 'web' } } });
    assert.match(
      (await run('host list -o wide')).out,
      /h2 +available +on +gpu +r1\/7 +4 thr, 4\.0 GiB +redfish +52:54:00:00:00:01 +tier=web/,
    );
    assert.equal((await run('host list -q -l tier=web')).out, 'h2\n');
    assert.equal((await run('host list -q --pool default')).out, 'h1\n');
    assert.equal((await run('host list -q --rack r1')).out, 'h2\n');
    assert.match((await run('host show h2')).out, /rack +r1, unit 7\n[^]*labels +tier=web/);
  });
});

describe('the examples', () => {
  test('every row is a host as the daemon takes it, but for the password', () => {
    const read = (path: string) => readFileSync(`deploy/examples/${path}`, 'utf8');
    for (const { rows, faults } of [readCsvRack(read('rack.csv')), readYamlRack(read('rack.yaml'))]) {
      assert.deepEqual(faults, []);
      assert.ok(rows.length >= 2);
      for (const { host } of rows) {
        const bmc = host['bmc'] as { url: string };
        const protocol = bmc.url.startsWith('ipmi:') ? 'ipmi' : 'redfish';
        const parsed = enrolSchema.safeParse({ ...host, bmc: { ...bmc, protocol, password: 'x' } });
        assert.deepEqual(parsed.error?.issues ?? [], []);
      }
    }
  });
});
