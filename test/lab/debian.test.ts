/** The debian image in QEMU: it boots from BIOS and UEFI, reads its seed, phones home, lets its user in, keeps what it should and nothing of its root changes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { networkConfigYaml } from '../../src/host/network.ts';
import { parseMac } from '../../src/wire/address.ts';
import { boot, home, install } from './debian-machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-debian-'));
after(() => rmSync(folder, { recursive: true }));

const minute = 60_000;
const builder = join(import.meta.dirname, '../../images/build.sh');
const image = join(
  execFileSync(builder, ['debian'], { timeout: 15 * minute })
    .toString()
    .trimEnd()
    .split('\n')
    .at(-1) ?? '',
  'debian.raw',
);
const keyPair = (name: string): { readonly file: string; readonly publicKey: string } => {
  const file = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return { file, publicKey: readFileSync(`${file}.pub`, 'utf8').trim() };
};
const known = keyPair('known');
const stranger = keyPair('stranger');
const userData = `#cloud-config
ssh_authorized_keys: ['${known.publicKey}']
write_files:
  - { path: /etc/greeting, content: 'from the seed' }
runcmd:
  - echo ran >>/var/lib/runs
`;
const rootHash = 'sudo sha256sum /dev/disk/by-partlabel/ROOT | cut -d" " -f1';

describe('the debian image', { concurrency: true }, () => {
  test('BIOS: seed, user, read-only root, and a second boot', { timeout: 15 * minute }, async (t) => {
    const phones = await home();
    t.after(phones.close);
    const installed = install(image, folder, { instanceId: 'claim-1-g1', hostName: 'node-77', userData, phoneHomeUrl: phones.url });
    const first = await boot(installed, 'bios');
    t.after(first.kill);
    const form = await phones.said();
    assert.deepEqual(Object.fromEntries(form), { hostname: 'node-77', instance_id: 'claim-1-g1' });

    assert.equal(await first.ssh(known.file, 'hostname; cat /etc/greeting /var/lib/runs'), 'node-77\nfrom the seedran\n');
    await assert.rejects(first.ssh(stranger.file, 'true'), /Command failed/);
    assert.equal(await first.ssh(known.file, 'findmnt -no FSTYPE,OPTIONS / | cut -c-11'), 'squashfs ro\n');
    await assert.rejects(first.ssh(known.file, 'sudo touch /usr/bin/x'), /Command failed/);
    assert.equal(await first.ssh(known.file, 'systemctl list-units --failed --plain --no-legend'), '');
    assert.equal(await first.ssh(known.file, 'sudo cut -d: -f2 /etc/shadow | grep -c "^\\$" || true'), '0\n');
    const written =
      'echo kept | sudo tee /etc/x /var/x /opt/x /usr/local/x >~/x; touch /tmp/x; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub';
    const identity = await first.ssh(known.file, written);
    const before = await first.ssh(known.file, rootHash);
    await first.pressButton();

    const second = await boot(installed, 'bios');
    t.after(second.kill);
    const kept =
      'cat /etc/x /var/x /opt/x /usr/local/x ~/x /var/lib/runs; test ! -e /tmp/x; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub';
    assert.equal(
      await second.sshWhenUp(known.file, `cloud-init status --wait >/dev/null; ${kept}`),
      `${'kept\n'.repeat(5)}ran\n${identity}`,
    );
    assert.equal(await second.ssh(known.file, rootHash), before);
    assert.equal(phones.forms.length, 1);
  });

  test('UEFI: a bond with a static address, and a VLAN on it', { timeout: 15 * minute }, async (t) => {
    const phones = await home();
    t.after(phones.close);
    const mac = parseMac('52:54:00:0d:eb:01');
    assert.ok(mac);
    const networkConfig = networkConfigYaml({
      ethernets: [{ name: 'port0', mac }],
      bonds: [
        {
          name: 'bond0',
          members: ['port0'],
          mode: 'active-backup',
          addresses: ['10.0.2.15/24'],
          gateway4: '10.0.2.2',
          nameservers: ['10.0.2.3'],
        },
      ],
      vlans: [{ name: 'storage', id: 40, link: 'bond0', addresses: ['10.40.0.5/24'] }],
    });
    const seed = { instanceId: 'claim-2-g1', hostName: 'node-78', userData, phoneHomeUrl: phones.url, networkConfig };
    const installed = install(image, folder, seed);
    const machine = await boot(installed, 'uefi');
    t.after(machine.kill);
    assert.equal((await phones.said()).get('hostname'), 'node-78');
    const lines =
      'ip -br -4 address show dev bond0; ip -br -4 address show dev storage; ip -d link show storage | grep -o "vlan protocol 802.1Q id 40"';
    assert.match(
      await machine.ssh(known.file, lines),
      /^bond0 +UP +10\.0\.2\.15\/24 \nstorage@bond0 +UP +10\.40\.0\.5\/24 \nvlan protocol 802\.1Q id 40\n$/,
    );
    assert.equal(
      await machine.ssh(known.file, 'cat /sys/class/net/port0/master/bonding/mode; test -d /sys/firmware/efi'),
      'active-backup 1\n',
    );
    await machine.pressButton();
  });
});
