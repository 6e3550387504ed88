/** The seed before foreign judges: fsck.vfat of dosfstools finds no fault, mtools read the same bytes, cloud-init understands the network. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'yaml';
import { hostNetworkSchema, networkConfigYaml } from '../../src/host/network.ts';
import { fatImage } from '../../src/image/fat.ts';
import { seedFiles, seedImage } from '../../src/image/seed.ts';
import { cloudInit, converted } from './cloud-init.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-seed-'));
after(() => rmSync(folder, { recursive: true }));
const run = (command: string, ...args: string[]): Buffer =>
  execFileSync(command, args, {
    timeout: 20_000,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  });

const files = seedFiles({
  instanceId: 'claim-1-g2',
  hostName: 'node-77',
  userData: `#cloud-config\n# ${'\u{1f40e}'.repeat(40_000)}\n`,
  phoneHomeUrl: 'http://10.77.0.1:8080/v1/home/abc',
  networkConfig: 'version: 2\n',
});
// FAT12 with clusters of one and two sectors, both sides of the border to FAT16, and more sectors than 16 bits can count.
const sizes = [
  256 * 1024,
  1024 * 1024,
  2 * 1024 * 1024,
  4_125 * 512,
  4_132 * 512,
  4_200 * 512,
  4 * 1024 * 1024,
  16 * 1024 * 1024,
  64 * 1024 * 1024,
];
for (const sizeBytes of sizes)
  test(`a seed of ${sizeBytes} bytes is sound and reads back`, () => {
    const file = join(folder, `${sizeBytes}.img`);
    writeFileSync(file, seedImage(files, sizeBytes));
    // Its exit code is 0 only where it found nothing to mend; it counts the root directory as a file.
    const report = run('fsck.vfat', '-n', '-v', file).toString();
    assert.match(report, new RegExp(`${Object.keys(files).length + 1} files`));
    for (const [name, text] of Object.entries(files)) assert.equal(run('mtype', '-i', file, `::${name}`).toString(), text, name);
    run('mcopy', '-n', '-i', file, '::user-data', join(folder, 'copy'));
    assert.equal(readFileSync(join(folder, 'copy'), 'utf8'), files['user-data']);
    rmSync(join(folder, 'copy'));
    assert.match(run('mlabel', '-s', '-i', file, '::').toString(), /Volume label is CIDATA/);
    assert.deepEqual(
      run('mdir', '-b', '-i', file, '::').toString().trim().split('\n'),
      Object.keys(files).map((name) => `::/${name}`),
    );
    assert.equal(run('blkid', '-p', '-o', 'value', '-s', 'LABEL', file).toString().trim(), 'CIDATA');
  });

test('an empty file, a full disk and many names are sound', () => {
  const file = join(folder, 'odd.img');
  const content = new Map([
    ['empty', new Uint8Array()],
    ...Array.from({ length: 120 }, (_, i) => [`vendor-data-${i}`, new Uint8Array(i * 50).fill(i)] as const),
  ]);
  writeFileSync(file, fatImage(content, 1024 * 1024, 'CIDATA'));
  assert.match(run('fsck.vfat', '-n', '-v', file).toString(), /122 files/);
  for (const [name, bytes] of content) assert.deepEqual(run('mtype', '-i', file, `::${name}`), Buffer.from(bytes), name);
  const room = 256 * 1024 - 512 - 2 * 2 * 512 - 16 * 1024;
  writeFileSync(file, fatImage(new Map([['user-data', new Uint8Array(room).fill(9)]]), 256 * 1024, 'CIDATA'));
  run('fsck.vfat', '-n', file);
});

/** Long enough for the first time, when cloud-init is fetched. */
const timeout = 400_000;
const network = networkConfigYaml(
  hostNetworkSchema.parse({
    ethernets: [
      { name: 'port0', mac: '52:54:00:aa:00:01' },
      // All digits: to YAML 1.1 a number in base 60, unless it is quoted.
      { name: 'port1', mac: '52:54:00:12:34:56' },
      { name: 'mgmt', mac: '52:54:00:aa:00:03', dhcp4: true, mtu: 1500 },
    ],
    bonds: [{ name: 'bond0', members: ['port0', 'port1'], mode: '802.3ad', miiMonitorMs: 200, mtu: 9000 }],
    vlans: [
      {
        name: 'storage',
        id: 20,
        link: 'bond0',
        addresses: ['10.20.0.5/24', '2001:db8:20::5/64'],
        gateway4: '10.20.0.1',
        nameservers: ['10.20.0.2'],
        search: ['rack.example'],
      },
    ],
  }),
);
describe('cloud-init', () => {
  test('hands the network to netplan as it is', { timeout }, async () => {
    const [[, text] = []] = await converted(network, 'netplan');
    assert.deepEqual((parse(text ?? '') as { network: unknown }).network, parse(network));
  });
  test('says the same to ifupdown', { timeout }, async () => {
    const written = await converted(network, 'eni');
    const interfaces = [...written].find(([path]) => path.includes('interfaces'))?.[1] ?? '';
    const stanza = (head: string): string => interfaces.split('\n\n').find((part) => part.includes(`iface ${head}`)) ?? '';
    assert.match(stanza('mgmt inet dhcp'), /mtu 1500/);
    for (const port of ['port0', 'port1'])
      assert.match(stanza(`${port} inet manual`), /bond-master bond0[^]*bond-miimon 200[^]*bond-mode 802\.3ad/);
    assert.match(stanza('bond0 inet manual'), /mtu 9000/);
    const storage = stanza('storage inet static');
    assert.match(storage, /address 10\.20\.0\.5\/24[^]*vlan-raw-device bond0[^]*vlan_id 20[^]*add default gw 10\.20\.0\.1/);
    assert.match(interfaces, /iface storage inet6 static\n\s+address 2001:db8:20::5\/64/);
    const rules = [...written].find(([path]) => path.includes('udev'))?.[1] ?? '';
    assert.match(rules, /ATTR\{address\}=="52:54:00:12:34:56", NAME="port1"/);
  });
  test('and finds our own user data valid', { timeout }, async () => {
    const file = join(folder, 'user-data');
    for (const text of [seedFiles({ instanceId: 'i', hostName: 'node-77' })['user-data'], files['vendor-data']]) {
      writeFileSync(file, text);
      assert.match(await cloudInit('schema', '--config-file', file), /Valid cloud-config/);
    }
  });
});
