/** The doctor: what it finds in a status, and how it says it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHostJson, toImageJson } from '../../src/api/admin-json.ts';
import { diagnose, renderFindings } from '../../src/cli/doctor.ts';
import type { Seen } from '../../src/cli/doctor.ts';
import { plainStyle } from '../../src/cli/style.ts';
import type { Host } from '../../src/host/host.ts';
import { bareHost, image, minute, now, readyHost, status } from '../api/admin-rack.ts';
import { bench } from './bench.ts';

const shown = (host: Host) => toHostJson({ host, doing: host.state });
const well: Seen = { status, hosts: [shown(readyHost('h1'))], images: [toImageJson(image('debian'))], now };
const troubles = (seen: Seen): readonly string[] =>
  diagnose(seen)
    .filter(({ level }) => level !== 'ok')
    .map(({ level, what, why, next }) => `${level}: ${what}${why === undefined ? '' : ` (${why})`} -> ${next ?? ''}`);

test('where all is well it says so, in the order of a boot', () => {
  assert.deepEqual(troubles(well), []);
  const text = renderFindings(diagnose(well), plainStyle);
  assert.match(text, /^ok {4}the daemon answers: version 0\.1\.0, up for 3 h\n/);
  assert.match(text, /ok {4}eth1 serves 10\.77\.0\.0\/24 as 10\.77\.0\.1, 3 of 100 addresses leased\n/);
  assert.match(text, /\nnothing is wrong\n$/);
});

describe('what usually goes wrong, each alone', () => {
  const network = status.networks[0];
  const file = status.files[0];
  assert.ok(network !== undefined && file !== undefined);
  const failedHost: Host = {
    ...readyHost('h1'),
    failed: { step: 'boot', code: 'internal', reason: 'no packet', at: now - minute, tries: 3 },
  };
  const heldHost: Host = { ...readyHost('h1'), held: { by: 'ann', why: 'a new fan', at: now - 60 * minute } };
  const bmc = readyHost('h1').bmc;
  assert.ok(bmc !== null);
  const cases: readonly { name: string; seen: Seen; says: RegExp }[] = [
    {
      name: 'a clock that was never set',
      seen: { ...well, status: { ...status, now: 1000 }, now: 1000 },
      says: /^bad: .*clock says 1970.*NTP/,
    },
    { name: 'two clocks apart', seen: { ...well, now: now + 5 * minute }, says: /^warn: .*5 min apart/ },
    {
      name: 'a port that is taken',
      seen: { ...well, status: { ...status, listeners: [{ name: 'tftp', at: '10.77.0.1:69', bound: false, reason: 'in use' }] } },
      says: /^bad: tftp is not bound to 10\.77\.0\.1:69: in use \(hosts that boot from there get no answer\) -> .*ss -lunpt/,
    },
    { name: 'no listener at all', seen: { ...well, status: { ...status, listeners: [] } }, says: /^bad: the daemon listens on nothing/ },
    { name: 'no network', seen: { ...well, status: { ...status, networks: [] } }, says: /^bad: no network is served/ },
    {
      name: 'an interface without its address',
      seen: { ...well, status: { ...status, networks: [{ ...network, address: null }] } },
      says: /^bad: eth1 has no address in 10\.77\.0\.0\/24 \(.*\) -> .*ip address add/,
    },
    {
      name: 'a pool almost full',
      seen: { ...well, status: { ...status, networks: [{ ...network, leasedAddresses: 95 }] } },
      says: /^warn: 95 of 100 addresses/,
    },
    {
      name: 'no way to us from behind a relay',
      seen: { ...well, status: { ...status, networks: [{ ...network, relayed: true, address: null }] } },
      says: /^bad: eth1 has not the address by which hosts of 10\.77\.0\.0\/24 reach us/,
    },
    {
      name: 'another DHCP server',
      seen: {
        ...well,
        status: {
          ...status,
          networks: [
            {
              ...network,
              otherServers: [
                {
                  address: '10.77.0.9',
                  mac: '02:00:00:00:00:09',
                  how: 'offered to us',
                  firstAt: now - 60 * minute,
                  lastAt: now - minute,
                  bootFile: 'pxelinux.0',
                },
              ],
            },
          ],
        },
      },
      says: /^warn: another DHCP server, 10\.77\.0\.9 \(02:00:00:00:00:09\), is heard at eth1: offered to us 1 min ago, boot file pxelinux\.0 \(.*\) -> switch it off.*by its MAC/,
    },
    {
      name: 'a boot file missing',
      seen: { ...well, status: { ...status, files: status.files.map((one) => ({ ...one, present: one.purpose === 'agent' })) } },
      says: /^bad: \/f\/snponly\.efi is missing \(no server gets past its firmware\) -> see/,
    },
    {
      name: 'an empty ramdisk',
      seen: {
        ...well,
        status: { ...status, files: status.files.map((one) => (one.purpose === 'agent' ? { ...one, sizeBytes: 0 } : one)) },
      },
      says: /^bad: \/a\/vmlinuz is empty \(.*\) -> .*build\.sh ramdisk/,
    },
    {
      name: 'no agent named',
      seen: { ...well, status: { ...status, files: [file] } },
      says: /^bad: the daemon names no kernel and ramdisk/,
    },
    { name: 'no image', seen: { ...well, images: [] }, says: /^warn: there is no image yet \(a claim needs one\) -> remuda image import/ },
    {
      name: 'an image that cannot boot',
      seen: { ...well, images: [toImageJson(image('data', { firmware: [] }))] },
      says: /^warn: image data has neither/,
    },
    { name: 'little space', seen: { ...well, status: { ...status, freeBytes: 1024 ** 3 } }, says: /^warn: only 1\.0 GiB/ },
    { name: 'no host', seen: { ...well, hosts: [] }, says: /^warn: no host was ever seen/ },
    {
      name: 'a failed host',
      seen: { ...well, hosts: [shown(failedHost)] },
      says: /^bad: host h1 failed at boot 1 min ago: no packet \(it waits.*\) -> .*remuda host retry h1/,
    },
    {
      name: 'a held host',
      seen: { ...well, hosts: [shown(heldHost)] },
      says: /^warn: host h1 is held by ann since 1 h: a new fan \(.*\) -> .*remuda host unhold h1/,
    },
    { name: 'a host without BMC', seen: { ...well, hosts: [shown(bareHost('h1'))] }, says: /^warn: host h1 has no BMC/ },
    {
      name: 'a BMC with any certificate',
      seen: { ...well, hosts: [shown({ ...readyHost('h1'), bmc: { ...bmc, insecure: true } })] },
      says: /^warn: .*any certificate/,
    },
    {
      name: 'a BMC in plain text',
      seen: { ...well, hosts: [shown({ ...readyHost('h1'), bmc: { ...bmc, url: 'http://10.0.0.5' } })] },
      says: /^warn: the password .* plain text/,
    },
    {
      name: 'a MAC that may be its own',
      seen: {
        ...well,
        hosts: [
          {
            ...shown(readyHost('h1')),
            identity: {
              proposals: [{ mac: '52:54:00:00:00:09', uuid: 'u-1', at: now, asked: 0 }],
              conflicts: [],
              refused: [],
              retired: [],
            },
          },
        ],
      },
      says: /^warn: a machine with the UUID of host h1 \(u-1\) boots with another MAC.* -> remuda host mac adopt h1 52:54:00:00:00:09/,
    },
    {
      name: 'two hosts that are said to be one',
      seen: {
        ...well,
        hosts: [
          {
            ...shown(readyHost('h1')),
            identity: {
              proposals: [],
              conflicts: [{ what: 'serial', value: 'S1', host: { id: 'h-h2', name: 'h2' } }],
              refused: [],
              retired: [],
            },
          },
        ],
      },
      says: /^bad: hosts h1 and h2 are said to have the same serial S1/,
    },
    {
      name: 'what else the daemon says',
      seen: { ...well, status: { ...status, warnings: [{ level: 'warning', code: 'no-carrier', text: 'eth1 has no carrier' }] } },
      says: /^warn: eth1 has no carrier/,
    },
    {
      name: 'what the daemon lets be known is told, and is no trouble',
      seen: { ...well, status: { ...status, warnings: [{ level: 'information', code: 'unsigned-images', text: 'no signature' }] } },
      says: /^note: no signature/,
    },
  ];
  for (const { name, seen, says } of cases)
    test(name, () => {
      const found = troubles(seen);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', says);
    });
  test('a discovered stranger without BMC is nobody\u2019s trouble', () => {
    assert.deepEqual(troubles({ ...well, hosts: [shown(bareHost('h1', 'discovered'))] }), []);
  });
});

test('the command: 0 where nothing is wrong, 1 where something is, 3 without a daemon', async () => {
  const { rack, run } = await bench();
  const good = await run('doctor');
  assert.equal(good.exit, 0, good.out);
  rack.put({ ...readyHost('h1'), failed: { step: 'boot', code: 'internal', reason: 'no packet', at: now, tries: 3 } });
  const { exit, out } = await run('doctor');
  assert.equal(exit, 1);
  assert.match(
    out,
    /BAD {3}host h1 failed at boot 0 s ago: no packet\n {6}it waits; no step is taken on it\n {6}mend the cause.*\n\n1 wrong, 0 warnings\n$/,
  );
  const items = ((await run('doctor --json')).json() as { items: { level: string }[] }).items;
  assert.equal(items.filter(({ level }) => level === 'bad').length, 1);
  assert.equal((await run('doctor --socket /none')).exit, 3);
});

test('whatever is wrong is said with why it matters and what to do', () => {
  const host: Host = { ...bareHost('h1'), failed: { step: 'boot', code: 'internal', reason: 'no packet', at: now, tries: 3 } };
  const findings = diagnose({
    ...well,
    hosts: [shown(host)],
    images: [],
    status: { ...status, listeners: [], networks: [], files: [], freeBytes: 1 },
  });
  const troubled = findings.filter(({ level }) => level !== 'ok');
  assert.ok(troubled.length >= 8, `${troubled.length}`);
  for (const { what, why, next } of troubled) assert.ok(why !== undefined && next !== undefined, what);
});
