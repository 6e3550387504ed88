/** The judges of DHCP: ISC dhclient and BusyBox udhcpc get, keep, renew and give back an address of our real server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Cable } from './dhcp-tftp-cable.ts';

const timeout = 60_000;
/** Sets the address and nothing else of the machine; each call leaves a line. */
const dhclientScript = (log: string) => `#!/bin/sh
echo "$reason $new_ip_address $new_subnet_mask $new_routers $new_domain_name $new_host_name $new_dhcp_lease_time" >> ${log}
case $reason in
  BOUND|RENEW|REBIND|REBOOT) ip addr replace $new_ip_address/24 dev $interface ;;
  RELEASE|EXPIRE|FAIL|STOP) ip addr flush dev $interface ;;
esac
`;
const udhcpcScript = (log: string) => `#!/bin/sh
echo "$1 $ip $subnet $router $domain $hostname $lease" >> ${log}
case $1 in
  bound|renew) ip addr replace $ip/24 dev $interface ;;
  deconfig) ip addr flush dev $interface ;;
esac
`;
const place = (path: string, text: string): string => {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};
const rack = async (name: string, leaseSeconds: number) => {
  const cable = new Cable(name);
  const folder = join(cable.folder, 'files');
  mkdirSync(folder);
  const log = place(join(cable.folder, 'log'), '');
  await cable.serve({ leaseSeconds, folder, known: ['52:54:00:00:00:01'] });
  return { cable, log };
};

const logged = async (log: string, reason: string): Promise<void> => {
  while (!readFileSync(log, 'utf8').includes(`${reason} `)) await new Promise((resolve) => setTimeout(resolve, 20));
};

describe('dhclient', () => {
  test('gets an address, renews it by unicast, asks for it again after a restart, gives it back', { timeout }, async () => {
    const { cable, log } = await rack('dhclient', 6);
    await using _ = cable;
    const script = place(join(cable.folder, 'script'), dhclientScript(log));
    const config = place(
      join(cable.folder, 'conf'),
      'request subnet-mask, routers, domain-name, host-name;\nbackoff-cutoff 2;\ninitial-interval 1;\n',
    );
    const common = ['-4', '-cf', config, '-lf', join(cable.folder, 'leases'), '-pf', join(cable.folder, 'pid'), '-sf', script];
    const first = cable.inClient('dhclient', '-d', ...common, 'nic0');
    await cable.observed(/^REQUEST .* given 10\.77\.0\.50$/);
    // The renewal at half of six seconds.
    await cable.told('saved', 2);
    // The daemon saves before it answers; the client tells when it has the answer.
    await logged(log, 'RENEW');
    assert.match(cable.clientAddresses(), /inet 10\.77\.0\.50\/24/);
    first.kill('SIGKILL');
    await once(first, 'exit');
    const saves = cable.all('saved').length;
    const second = cable.inClient('dhclient', '-d', ...common, 'nic0');
    await cable.told('saved', saves + 1);
    await logged(log, 'REBOOT');
    await cable.run('dhclient', '-r', ...common, 'nic0');
    await cable.observed(/^RELEASE .* address released$/);
    // `dhclient -r` has ended it by a signal.
    if (second.signalCode === null && second.exitCode === null) await once(second, 'exit');
    const reasons = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('PREINIT'));
    const told = '10.77.0.50 255.255.255.0 10.77.0.254 rack.example one 6';
    assert.deepEqual(reasons.slice(0, 3), [`BOUND ${told}`, `RENEW ${told}`, `REBOOT ${told}`]);
    assert.match(reasons.at(-1) ?? '', /^RELEASE/);
    const { dhcp, leases } = await cable.counters();
    assert.deepEqual(
      { malformed: dhcp['malformed'], failed: dhcp['failed'], nak: dhcp['nak'], leases },
      { malformed: 0, failed: 0, nak: 0, leases: 0 },
    );
  });
});

const burst = (count: number): string => `
const socket = require('node:dgram').createSocket('udp4');
let left = ${count};
const next = () => (left-- > 0 ? socket.send(Buffer.alloc(300), 67, '10.77.0.1', next) : socket.close());
next();
`;
test('a rack that powers on while we are busy: the kernel keeps what comes', { timeout }, async () => {
  const { cable } = await rack('burst', 60);
  await using _ = cable;
  cable.giveClientAddress('10.77.0.50');
  const received = async () => (await cable.counters()).dhcp['received'] ?? 0;
  const before = await received();
  cable.asleep();
  await cable.run('node', '-e', burst(1000));
  cable.awake();
  let [last, now] = [-1, await received()];
  while (now > last) [last, now] = [now, await received()];
  // A buffer of the usual size holds less than three hundred of these.
  assert.equal(now - before, 1000);
});

describe('udhcpc', () => {
  test('gets an address, renews it when told to, gives it back', { timeout }, async () => {
    const { cable, log } = await rack('udhcpc', 60);
    await using _ = cable;
    const script = place(join(cable.folder, 'script'), udhcpcScript(log));
    const client = cable.inClient('busybox', 'udhcpc', '-f', '-i', 'nic0', '-s', script, '-t', '5', '-T', '1', '-x', 'hostname:self');
    await cable.told('saved', 1);
    await cable.observed(/^REQUEST .* given 10\.77\.0\.50$/);
    await logged(log, 'bound');
    client.kill('SIGUSR1');
    await cable.told('saved', 2);
    await logged(log, 'renew');
    client.kill('SIGUSR2');
    await cable.observed(/^RELEASE .* address released$/);
    const told = '10.77.0.50 255.255.255.0 10.77.0.254 rack.example one 60';
    const lines = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('deconfig'));
    assert.deepEqual(lines, [`bound ${told}`, `renew ${told}`]);
    const [first, renewed, released] = cable.all('saved');
    assert.ok(first?.leases[0] && renewed?.leases[0] && released?.leases[0]);
    assert.ok(renewed.leases[0].endsAt > first.leases[0].endsAt && released.leases[0].endsAt < renewed.leases[0].endsAt);
    const { dhcp } = await cable.counters();
    assert.deepEqual({ malformed: dhcp['malformed'], failed: dhcp['failed'], nak: dhcp['nak'] }, { malformed: 0, failed: 0, nak: 0 });
  });
  test('a known host keeps its address whatever identifier it sends; a stranger’s MAC gets another', { timeout }, async () => {
    const { cable, log } = await rack('udhcpc-id', 60);
    await using _ = cable;
    const script = place(join(cable.folder, 'script'), udhcpcScript(log));
    const ask = (...more: readonly string[]) =>
      cable.run('busybox', 'udhcpc', '-f', '-q', '-n', '-i', 'nic0', '-s', script, '-t', '5', '-T', '1', ...more);
    await ask();
    await ask('-C');
    await ask('-x', '0x3d:ff0000000100030001525400000001');
    await ask('-V', 'PXEClient:Arch:00007:UNDI:003016');
    assert.deepEqual(new Set(cable.all('saved').flatMap(({ leases }) => leases.map(({ address }) => address))), new Set(['10.77.0.50']));
    await cable.observed(/^DISCOVER from UEFI x64 firmware, offered 10\.77\.0\.50, boot file snponly\.efi$/);
    await cable.run('ip', 'link', 'set', 'nic0', 'address', '52:54:00:00:00:02');
    await ask();
    assert.equal(cable.all('saved').at(-1)?.leases[0]?.address, '10.77.0.51');
  });
});
