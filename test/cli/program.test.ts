/** The command line from its words to the rack and back: every command, its exit code, and what is said of a failure. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dryRunJson, hostJson, imageJson, itemsOf } from '../../src/api/types.ts';
import { bareHost, claimOn, digest, minute, now, readyHost } from '../api/admin-rack.ts';
import { exits } from '../../src/cli/failure.ts';
import { bench } from './bench.ts';

describe('what each command asks of the rack', () => {
  const cases: readonly { line: string; asked: readonly unknown[]; claimed?: boolean; says?: RegExp }[] = [
    {
      line: 'host enrol h2 --mac 52:54:00:00:00:02 --mac 52:54:00:00:00:03 --firmware uefi',
      asked: ['enrol', { name: 'h2', macs: ['52:54:00:00:00:02', '52:54:00:00:00:03'], firmware: 'uefi' }, 'ann'],
      says: /^h2 is enrolled/,
    },
    { line: 'host accept h1', asked: ['accept', 'h1', {}, 'ann'] },
    { line: 'host power h1 off', asked: ['power', 'h1', 'off', 'ann'], says: /^power is off\n$/ },
    { line: 'host unhold h1', asked: ['unhold', 'h1', 'ann'] },
    { line: 'host retry h1', asked: ['retry', 'h1', 'ann'] },
    { line: 'host forget h1', asked: ['forget', 'h1', 'ann'], says: /^h1 is forgotten\n$/ },
    { line: 'host release h1', asked: ['release', 'c-h1', 'ann'], claimed: true, says: /^h1 is cleaning/ },
    {
      line: 'host reprovision h1 --image debian --hostname web-1',
      asked: ['reprovision', 'c-h1', { image: 'debian', hostName: 'web-1' }, 'ann'],
      claimed: true,
    },
    { line: 'claim reprovision c-h1 --image debian', asked: ['reprovision', 'c-h1', { image: 'debian' }, 'ann'], claimed: true },
    { line: 'claim release c-h1', asked: ['release', 'c-h1', 'ann'], claimed: true },
    {
      line: 'claim create --image debian --host h1 --disk size=480GB --disk smallest --hostname web-1 --user-data ud.yaml --owner team-a --id c1',
      asked: [
        'claim',
        {
          image: 'debian',
          host: 'h1',
          disk: { minSizeBytes: 475_200_000_000, maxSizeBytes: 484_800_000_000, pick: 'smallest' },
          hostName: 'web-1',
          userData: '#cloud-config',
          owner: 'team-a',
          id: 'c1',
          waitSeconds: 0,
          dryRun: false,
        },
        'ann',
      ],
      says: /^claim c1 holds host h1\n/,
    },
    {
      line: 'claim create --image debian',
      asked: ['claim', { image: 'debian', disk: { only: true }, owner: 'operator', waitSeconds: 0, dryRun: false }, 'ann'],
    },
  ];
  for (const { line, asked, claimed = false, says } of cases)
    test(line, async () => {
      const { rack, files, run } = await bench();
      await files.makeFolder('/home/ann');
      await files.write('/home/ann/ud.yaml', '#cloud-config');
      if (claimed) rack.put(claimOn(readyHost('h1')));
      const { exit, out, err } = await run(line, { env: { USER: 'ann' } });
      assert.equal(err, '');
      assert.equal(exit, 0);
      const [one] = rack.asked;
      assert.deepEqual([one?.verb, ...(one?.args ?? [])], asked);
      if (says !== undefined) assert.match(out, says);
    });
  test('host hold needs a reason, in words', async () => {
    const { rack, run } = await bench();
    assert.equal((await run('host hold h1')).exit, 2);
    assert.equal((await run(['host', 'hold', 'h1', '--why', 'a new fan'])).exit, 0);
    assert.deepEqual(rack.asked[0]?.args, ['h1', 'a new fan', 'operator']);
  });
  describe('host unhold --all', () => {
    const heldBy = (by: string) => ({ held: { by, why: 'restored', at: now } });
    const heldBench = async () => {
      const parts = await bench();
      for (const [name, by] of [
        ['h2', 'restore'],
        ['h3', 'restore'],
        ['h4', 'bob'],
      ] as const)
        parts.rack.put({ ...readyHost(name), ...heldBy(by) });
      const lifted = () => parts.rack.asked.filter(({ verb }) => verb === 'unhold').map(({ args }) => args[0]);
      return { ...parts, lifted };
    };
    test('asks a person, naming each with its reason, and leaves all held where the person does not say yes', async () => {
      const { run, lifted } = await heldBench();
      const no = await run('host unhold --all', { tty: true, answers: ['n'] });
      assert.equal(no.exit, 1);
      assert.match(no.err, /go on at once on 3 hosts:\n {2}h2, available: held by restore: restored\n[^]*h4, available: held by bob/);
      assert.deepEqual(lifted(), []);
      assert.equal((await run('host unhold --all', { tty: true, answers: ['y'] })).exit, 0);
      assert.deepEqual(lifted(), ['h-h2', 'h-h3', 'h-h4']);
    });
    test('--by: only those that this one holds; none is an answer too', async () => {
      const { run, lifted } = await heldBench();
      const { exit, out } = await run('host unhold --all --by restore --yes');
      assert.deepEqual([exit, lifted()], [0, ['h-h2', 'h-h3']]);
      assert.match(out, /^h2 is available[^]*\nh3 is available/);
      assert.match((await run('host unhold --all --by nobody')).out, /^no host is held by nobody\n$/);
    });
    test('is said wrong', async () => {
      const { run, lifted } = await heldBench();
      for (const line of ['host unhold', 'host unhold h2 --all', 'host unhold h2 --by restore']) assert.equal((await run(line)).exit, 2);
      assert.deepEqual(lifted(), []);
    });
  });
});

describe('what is shown', () => {
  test('host list, with filter and as JSON', async () => {
    const { rack, run } = await bench();
    rack.put({ ...claimOn(readyHost('h2')), failed: { step: 'boot-once', code: 'bmc-ignored', reason: 'no', at: now, tries: 3 } });
    const { out } = await run('host list');
    assert.match(out, /^NAME\s+STATE\s+POWER/);
    assert.match(out, /h2\s+provisioning, failed\s+on\s+debian #1\s+h2\s+operator/);
    const { json } = await run('host list --state available --json');
    assert.deepEqual(
      itemsOf(hostJson)
        .parse(json())
        .items.map(({ name }) => name),
      ['h1'],
    );
  });
  test('a filter that no host passes says so, not that there are none', async () => {
    const { rack, run } = await bench();
    for (const [line, says] of [
      [
        'host list --state discovered -l tier=web',
        'None of 1 host is like that (--state discovered -l tier=web). All of them: remuda host list -o wide\n',
      ],
      [
        'host list --held --failed --pool p --rack r',
        'None of 1 host is like that (--pool p --rack r --held --failed). All of them: remuda host list -o wide\n',
      ],
    ] as const)
      assert.equal((await run(line)).out, says);
    assert.deepEqual((await run('host list --held --json')).json(), { items: [] });
    rack.hosts.clear();
    assert.match((await run('host list --held')).out, /^No hosts here\./);
  });
  test('host show tells why it does not boot, since when, what to do, and what was last seen', async () => {
    const { rack, run } = await bench();
    rack.put(
      {
        ...claimOn(readyHost('h1')),
        failed: { step: 'boot', code: 'bmc-ignored', reason: 'not one packet was seen in 10 minutes', at: now - 46 * minute, tries: 3 },
      },
      { doing: 'failed at boot: not one packet was seen in 10 minutes' },
    );
    rack.happen('h-h1', 'boot 3 powered on', { boot: 3 });
    const { out, exit } = await run('host show h1');
    assert.equal(exit, 0);
    assert.match(out, /state\s+provisioning, failed/);
    assert.match(out, /since\s+2026-11-21 01:28:05Z, 46 min ago/);
    assert.match(out, /failed\s+at boot after 3 tries: not one packet was seen/);
    assert.match(out, /next\s+when the cause is mended: remuda host retry h1/);
    assert.match(out, /#3\s+\* boot 3 powered on/);
    assert.match(out, /\/dev\/vdb, 1\.0 GiB, serial h1-data/);
    assert.doesNotMatch(out, /hunter2/);
  });
  test('claims, leases, images, version', async () => {
    const { rack, run } = await bench();
    rack.put(claimOn(readyHost('h1')));
    assert.match((await run('claim list')).out, /c-h1\s+operator\s+h1\s+provisioning\s+debian #1\s+h1\s+5 min/);
    assert.match((await run('claim show c-h1')).out, /user data\s+yes/);
    assert.match((await run('lease list')).out, /10\.77\.0\.50\s+52:54:00:00:00:01\s+h1\s+h1\s+in 59 min/);
    assert.match((await run('image list')).out, /debian\s+sha256:abababababab\s+8\.0 MiB\s+3\.0 MiB\s+bios\+uefi\s+yes/);
    assert.match((await run(`image show ${digest}`)).out, /2 chunks of 4\.0 MiB, 1 of them zeros/);
    assert.equal((await run('version')).out, 'remuda 0.1.0\ndaemon 0.1.0\n');
  });
  test('a dry run prints every disk and its fate', async () => {
    const { run } = await bench();
    const { out, exit } = await run('claim create --image debian --dry-run');
    assert.equal(exit, 0);
    assert.match(out, /\/dev\/vda, 256\.0 MiB, serial h1-d0\s+OVERWRITTEN\s+named by its serial/);
    assert.match(out, /\/dev\/vdb, 1\.0 GiB, serial h1-data\s+UNTOUCHED\s+not named/);
    assert.match(out, /Nothing was changed/);
    const { json } = await run('claim create --image debian --dry-run --json');
    assert.equal(itemsOf(dryRunJson).parse(json()).items.length, 1);
  });
  test('the timeline once, as lines and as JSON', async () => {
    const { rack, run } = await bench();
    rack.happen('h-h1', 'DISCOVER\u001b[2J from firmware', { kind: 'packet' });
    rack.happen('h-h1', 'boot 2 opened', { boot: 2 });
    const { out } = await run('host timeline h1');
    assert.equal(
      out,
      '2026-11-21 02:14:06Z  #1   . DISCOVER\u00b7[2J from firmware\n-- boot 2 --\n2026-11-21 02:14:07Z  #2   * boot 2 opened\n',
    );
    assert.equal(((await run('host timeline h1 --most 1 --json')).json() as { items: unknown[] }).items.length, 1);
  });
  test('colours on a terminal only, and not with NO_COLOR', async () => {
    const { run } = await bench();
    const isColoured = async (options: Parameters<typeof run>[1]): Promise<boolean> =>
      (await run('host list', options)).out.includes('\u001b[');
    assert.equal(await isColoured({}), false);
    assert.equal(await isColoured({ tty: true }), true);
    assert.equal(await isColoured({ tty: true, env: { NO_COLOR: '1' } }), false);
  });
});

describe('images', () => {
  test('import: an absolute path for the daemon, a bar that goes away, the image', async () => {
    const { desk, run } = await bench();
    const { out, err, exit } = await run('image import img/a.raw --name new --phone-home none', { tty: true, env: { NO_COLOR: '1' } });
    assert.equal(exit, 0);
    assert.deepEqual(desk.asked[0]?.args[0], { file: '/home/ann/img/a.raw' });
    assert.match(err, /importing new \[#+-+\]\s+50 %/);
    assert.ok(err.endsWith('\r\u001b[K'));
    assert.match(out, /^new is sha256:abab/);
    imageJson.parse((await run('image import a.raw --name other --json')).json());
  });
  test('no bar where nobody watches', async () => {
    const { run } = await bench();
    assert.equal((await run('image import a.raw --name new')).err, '');
  });
  test('build brings what the recipe leaves', async () => {
    const { local, desk, run } = await bench();
    const { exit, out, err } = await run('image build tiny --release r7 --name tiny-r7');
    assert.equal(exit, 0);
    assert.deepEqual(local.asked, [['build', 'tiny', 'r7']]);
    assert.deepEqual(desk.asked[0]?.args[0], { file: '/built/tiny.raw' });
    assert.equal(err, 'compiling\n');
    assert.match(out, /^tiny-r7 is sha256:/);
  });
  test('an import that fails on its way is told with what to do', async () => {
    const { desk, run } = await bench();
    desk.work = async (onProgress) => {
      onProgress({ doneBytes: 1 });
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('x');
    };
    const { exit, err } = await run('image import a.raw --name new');
    assert.equal(exit, 1);
    assert.match(err, /^error: an error inside the daemon; its log says more\nnext: {2}the daemon\u2019s log/);
  });
  test('verify ends with 1 where something is damaged', async () => {
    const { desk, run } = await bench();
    assert.equal((await run('image verify debian')).exit, 0);
    desk.damaged = true;
    const { exit, out } = await run('image verify debian');
    assert.equal(exit, 1);
    assert.match(out, /damaged: 1 fault .*\n {2}chunk 1 at byte 4096: its hash is another/);
  });
  test('remove', async () => {
    const { desk, run } = await bench();
    assert.equal((await run('image remove debian')).out, 'debian is removed\n');
    assert.equal(desk.entries.length, 0);
  });
});

describe('waiting', () => {
  test('claim create --wait follows until it is provisioned', async () => {
    const { rack, run } = await bench();
    let looks = 0;
    rack.onLook = () => {
      looks += 1;
      const view = rack.view('h1');
      if (view.host.claim === null) return;
      if (looks === 5) rack.put(view.host, { doing: 'writing the disk', progress: { step: 'write', done: 50, total: 100 } });
      if (looks === 8) {
        rack.happen('h-h1', 'phoned home as h1');
        rack.put({ ...view.host, state: 'provisioned' }, { doing: 'provisioned' });
      }
    };
    const { exit, out, err } = await run('claim create --image debian --host h1 --wait', { tty: true, env: { NO_COLOR: '1' } });
    assert.equal(exit, 0);
    assert.match(out, /claimed by operator\n[^]*phoned home as h1\nclaim c-h1 holds host h1\nh1 is provisioned: provisioned\n$/);
    assert.match(err, /h1: waiting for the first packet/);
    assert.match(err, /h1: write \[#+-+\]\s+50 %/);
  });
  test('with --json the answer is one document', async () => {
    const { rack, run } = await bench();
    rack.onLook = () => {
      const { host } = rack.view('h1');
      if (host.claim !== null) rack.put({ ...host, state: 'provisioned' });
    };
    const { json } = await run('claim create --image debian --host h1 --wait --json');
    assert.equal(hostJson.parse(json()).state, 'provisioned');
  });
  test('a failed host ends it with 1, the reason and what to do', async () => {
    const { rack, run } = await bench();
    rack.put(claimOn(readyHost('h1')));
    rack.onLook = () => {
      const { host } = rack.view('h1');
      if (host.claim?.generation === 2)
        rack.put({ ...host, failed: { step: 'install', code: 'disk-missing', reason: 'the disk is gone', at: now, tries: 1 } });
    };
    const { exit, err } = await run('host reprovision h1 --image debian --wait');
    assert.equal(exit, 1);
    assert.match(err, /^error: host h1 failed at install: the disk is gone\nnext: .*remuda host retry h1\n$/);
  });
  test('somebody else\u2019s next generation, or a release, ends it', async () => {
    for (const [change, says] of [
      [{ generation: 9 }, /asked for something else meanwhile: generation 9/],
      [{ id: 'other' }, /claim c-h1 was released/],
    ] as const) {
      const { rack, run } = await bench();
      rack.put(claimOn(readyHost('h1')));
      let looks = 0;
      rack.onLook = () => {
        looks += 1;
        if (looks === 4) rack.put(claimOn(readyHost('h1'), { generation: 2, ...change }));
      };
      const { exit, err } = await run('host reprovision h1 --image debian --wait');
      assert.equal(exit, 1);
      assert.match(err, says);
    }
  });
  test('timeline --follow prints what comes, over a daemon that goes away for a while, until the person ends it', async () => {
    const { rack, run, ending, away, back } = await bench();
    rack.happen('h-h1', 'first');
    let waits = 0;
    rack.onWait = async () => {
      waits += 1;
      if (waits === 1) {
        rack.happen('h-h1', 'second');
        await away();
        await back();
      } else if (waits === 2) rack.happen('h-h1', 'third');
      else ending.abort(new Error('Ctrl-C'));
    };
    const { exit, out, err } = await run('host timeline h1 --follow --json');
    assert.equal(exit, 130);
    assert.deepEqual(
      out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { text: string }).text),
      ['first', 'second', 'third'],
    );
    assert.match(err, /^no daemon at .*; trying again\n$/);
  });
});

describe('the password of a BMC', () => {
  const enrol = 'host enrol h2 --bmc-url https://10.0.0.5 --bmc-username root';
  const passwordOf = (asked: readonly { readonly args: readonly unknown[] }[]): unknown =>
    (asked[0]?.args[0] as { bmc: { password: string } } | undefined)?.bmc.password;
  test('from a file, without its last line end', async () => {
    const { rack, files, run } = await bench();
    await files.makeFolder('/home/ann');
    await files.write('/home/ann/pw', 'from file\n');
    assert.equal((await run(`${enrol} --bmc-password-file pw`)).exit, 0);
    assert.equal(passwordOf(rack.asked), 'from file');
  });
  test('from the environment', async () => {
    const { rack, run } = await bench();
    const { exit, asked } = await run(enrol, { tty: true, env: { REMUDA_BMC_PASSWORD: 'from env' }, secret: 'typed' });
    assert.equal(exit, 0);
    assert.equal(passwordOf(rack.asked), 'from env');
    assert.deepEqual(asked, []);
  });
  test('asked on a terminal, and shown nowhere', async () => {
    const { rack, run } = await bench();
    const { out, err, asked } = await run(enrol, { tty: true, secret: 'typed in secret' });
    assert.equal(passwordOf(rack.asked), 'typed in secret');
    assert.deepEqual(asked, ['Password of root at https://10.0.0.5: ']);
    assert.ok(!`${out}${err}`.includes('typed in secret'));
  });
  test('never as an argument, and never missing', async () => {
    const { rack, run } = await bench();
    assert.equal((await run(`${enrol} --bmc-password hunter2`)).exit, 2);
    const { exit, err } = await run(enrol);
    assert.equal(exit, 2);
    assert.match(err, /the BMC needs a password\nnext: {2}.*--bmc-password-file/);
    assert.equal((await run(enrol, { tty: true })).exit, 2, 'the person gave up');
    assert.deepEqual(rack.asked, []);
  });
});

describe('failures', () => {
  test('no daemon: 3, where it was looked for, how to start it', async () => {
    const { run } = await bench();
    const { exit, err, out } = await run('--socket /nowhere.sock host list');
    assert.equal(exit, 3);
    assert.equal(out, '');
    assert.match(err, /^error: no daemon at \/nowhere\.sock: nothing listens there .*\nnext: {2}start the daemon \(remuda serve/);
    assert.equal((await run('host list', { env: { REMUDA_SOCKET: '/nowhere.sock' } })).exit, 3);
    assert.match((await run('version --socket /nowhere.sock')).out, /^remuda 0\.1\.0\ndaemon does not answer at \/nowhere\.sock\n$/);
  });
  test('over a URL', async () => {
    const { run } = await bench();
    assert.equal((await run('host list --url http://127.0.0.1:7470')).exit, 0);
    assert.equal((await run('host list', { env: { REMUDA_URL: 'http://127.0.0.1:7470/' } })).exit, 0);
    assert.equal((await run('host list --url http://127.0.0.1:1')).exit, 3);
    assert.equal((await run('host list --url nonsense')).exit, 2);
    assert.equal((await run('host list --url http://a --socket b')).exit, 2);
  });
  test('a refusal: 1, its sentence, what to do next; with --json as a document', async () => {
    const { rack, run } = await bench();
    rack.refuse = { code: 'disk-ambiguous', message: '2 disks match' };
    const { exit, err } = await run('claim create --image debian');
    assert.equal(exit, 1);
    assert.match(err, /^error: 2 disks match\nnext: {2}see the disks .*--dry-run/);
    rack.refuse = { code: 'disk-ambiguous', message: '2 disks match' };
    const asJson = JSON.parse((await run('claim create --image debian --json')).err) as { error: { code: string; detail: string } };
    assert.deepEqual([asJson.error.code, asJson.error.detail], ['disk-ambiguous', '2 disks match']);
  });
  test('what answers is something else', async () => {
    const { rack, run } = await bench();
    rack.put({ ...bareHost('h1'), state: 'melted' as 'enrolled' });
    const { exit, err } = await run('host show h-h1');
    assert.equal(exit, 1);
    assert.match(err, /does not speak this version of Remuda: state/);
  });
  const usages: readonly [string, RegExp][] = [
    ['', /Usage: remuda/],
    ['host', /Usage: remuda host/],
    ['host fly h1', /unknown command 'fly'/],
    ['host show', /missing required argument 'host'/],
    ['host show h1 --colour', /unknown option '--colour'/],
    ['host power h1 melt', /Allowed choices are on, off, soft, cycle, reset, status/],
    ['host enrol h2', /by its --mac or its --bmc-url/],
    ['host enrol h2 --bmc-username root', /a BMC needs --bmc-url/],
    ['host enrol h2 --bmc-url https://a', /a BMC needs --bmc-username/],
    ['host timeline h1 --most many', /not a number/],
    ['claim create', /required option '--image <name>' not specified/],
    ['claim create --image i --disk serial', /--disk serial: not a way to name a disk/],
    ['claim create --image i --disk size=big', /not a size/],
    ['claim create --image i --disk smallest --disk largest', /already said differently/],
    ['claim create --image i --dry-run --wait', /nothing to wait for/],
    ['claim create --image i --user-data none.yaml', /none\.yaml cannot be read/],
    ['completion tcsh', /Allowed choices are bash, zsh, fish/],
  ];
  for (const [line, says] of usages)
    test(`usage, 2: remuda ${line}`, async () => {
      const { rack, run } = await bench();
      const { exit, out, err } = await run(line);
      assert.equal(exit, 2);
      assert.match(err, says);
      assert.equal(out, '');
      assert.deepEqual(rack.asked, []);
    });
  test('help that was asked for is no error', async () => {
    const { run } = await bench();
    const { exit, out } = await run('claim create --help');
    assert.equal(exit, 0);
    assert.match(out, /--dry-run\s+show every disk/);
    assert.match(
      out,
      /\nOptions:\n {2}--image [^]*\n {2}-h, --help [^]*\nThe answer:\n[^]*--quiet[^]*\nWhich daemon:\n[^]*--fingerprint/,
      'its own first',
    );
  });
  test('the exit codes stand in the help', async () => {
    const { run } = await bench();
    const { out } = await run('--help');
    for (const code of Object.values(exits)) assert.match(out, new RegExp(`^ +${code} {2}\\S`, 'm'));
  });
  test('release of a host that nobody claimed', async () => {
    const { run } = await bench();
    const { exit, err } = await run('host release h1');
    assert.equal(exit, 1);
    assert.match(err, /no claim holds host h1: it is available/);
  });
});

test('serve and lab are handed on, with their own arguments and exit codes', async () => {
  const { local, run } = await bench();
  assert.equal((await run('serve --config /etc/r.yaml')).exit, 0);
  assert.equal((await run('lab up --hosts 3 --help')).exit, 7);
  assert.deepEqual(local.asked, [
    ['serve', { config: '/etc/r.yaml' }],
    ['lab', 'up', '--hosts', '3', '--help'],
  ]);
});

describe('the configuration', () => {
  test('check: every fault and warning a line; 1 where there is a fault', async () => {
    const { local, run } = await bench();
    const good = await run('config check');
    assert.deepEqual([good.exit, good.out], [0, 'the configuration is right\n']);
    local.checked = { faults: [], warnings: ['/a/vmlinuz is missing'], config: {} };
    const warned = await run('config check r.yaml');
    assert.equal(warned.exit, 0);
    assert.equal(warned.out, '/home/ann/r.yaml: warning: /a/vmlinuz is missing\nthe configuration is right, 1 warning\n');
    const fault = { line: 3, path: 'boot.agent', message: 'is missing' };
    local.checked = { faults: [fault, { line: 4, path: '', message: 'no YAML' }], warnings: [] };
    const bad = await run('config check r.yaml');
    assert.equal(bad.exit, 1);
    assert.equal(bad.out, '/home/ann/r.yaml:3: error: boot.agent: is missing\n/home/ann/r.yaml:4: error: no YAML\n2 errors\n');
    assert.deepEqual(((await run('config check --json')).json() as { faults: unknown[] }).faults[0], fault);
    assert.deepEqual(local.asked[0], ['check', '/etc/remuda/remuda.yaml']);
    const { exit, err } = await run('config show r.yaml');
    assert.equal(exit, 1);
    assert.match(err, /r\.yaml:3: boot\.agent: is missing\n[^]*next: {2}mend the configuration/);
  });
  test('example and show', async () => {
    const { run } = await bench();
    assert.equal((await run('config example')).out, '# full\n');
    assert.equal((await run('config example --minimal')).out, '# minimal\n');
    assert.equal((await run('config show')).out, 'log: info\n');
    assert.deepEqual((await run('config show --json')).json(), { log: 'info' });
  });
});
