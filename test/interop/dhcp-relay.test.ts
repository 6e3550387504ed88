/** Judges of many networks: ISC dhcrelay before a dhclient, a second wire at the same time, and dnsmasq as the server that should not be there. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Cidr4, Mac } from '../../src/wire/address.ts';
import { ip } from '../world/fake.ts';
import { Cable, type Wiring } from './dhcp-tftp-cable.ts';

const timeout = 60_000;
const place = (path: string, text: string): string => {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};
/** Sets address and default route and nothing else of the machine; each call leaves a line. */
const clientScript = (log: string) => `#!/bin/sh
echo "$reason $new_ip_address $new_subnet_mask $new_routers $new_dhcp_server_identifier $new_interface_mtu" >> ${log}
case $reason in
  BOUND|RENEW|REBIND|REBOOT)
    ip addr replace $new_ip_address/24 dev $interface
    ip route replace default via $new_routers ;;
  RELEASE|EXPIRE|FAIL|STOP) ip addr flush dev $interface ;;
esac
`;

/** Our two wires; behind the first a router with a network of its own. */
const routed: Wiring = {
  places: ['router', 'second'],
  commands: [
    '-n @server link add rack0 type veth peer name up0 netns @router',
    '-n @router link add down0 type veth peer name nic0 netns @client',
    '-n @server link add rack1 type veth peer name nic0 netns @second',
    '-n @server addr add 10.77.0.1/24 dev rack0',
    '-n @server addr add 10.78.0.1/24 dev rack1',
    '-n @server link set rack0 up',
    '-n @server link set rack1 up',
    '-n @server route add 10.88.0.0/24 via 10.77.0.2',
    '-n @router addr add 10.77.0.2/24 dev up0',
    '-n @router addr add 10.88.0.1/24 dev down0',
    '-n @router link set up0 up',
    '-n @router link set down0 up',
    '-n @client link set nic0 address 52:54:00:00:00:01 up',
    '-n @second link set nic0 address 52:54:00:00:00:02 up',
  ],
};
const subnetOf = (net: string, name: string) => ({
  interface: name,
  cidr: `${net}.0/24` as Cidr4,
  serverAddress: ip(`${net}.1`),
  pool: { from: ip(`${net}.50`), to: ip(`${net}.99`) },
  reservations: [],
});

describe('dhcrelay', () => {
  test(
    'a dhclient behind it gets, renews and gives back its address and fetches a file; another wire is served meanwhile',
    { timeout },
    async () => {
      await using cable = new Cable('relay', routed);
      const folder = join(cable.folder, 'files');
      mkdirSync(folder);
      writeFileSync(join(folder, 'snponly.efi'), 'a boot program');
      const behind = {
        ...subnetOf('10.88.0', 'rack0'),
        serverAddress: ip('10.77.0.1'),
        router: ip('10.88.0.1'),
        mtu: 1400,
        relay: { addresses: [] },
      };
      const subnets = [subnetOf('10.77.0', 'rack0'), subnetOf('10.78.0', 'rack1'), behind];
      await cable.serve({ leaseSeconds: 6, folder, subnets });
      await cable.runAt('router', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
      // `-a`: it adds option 82, and takes only answers that echo it.
      cable.at('router', 'dhcrelay', '-4', '-d', '--no-pid', '-a', '-id', 'down0', '-iu', 'up0', '10.77.0.1');

      const log = place(join(cable.folder, 'log'), '');
      const script = place(join(cable.folder, 'script'), clientScript(log));
      const config = place(
        join(cable.folder, 'conf'),
        'request subnet-mask, routers, interface-mtu;\nbackoff-cutoff 2;\ninitial-interval 1;\n',
      );
      const common = ['-4', '-cf', config, '-lf', join(cable.folder, 'leases'), '-pf', join(cable.folder, 'pid'), '-sf', script];
      const client = cable.inClient('dhclient', '-d', ...common, 'nic0');
      await cable.observed(/^REQUEST .* given 10\.88\.0\.50$/);
      const quick = place(join(cable.folder, 'quick'), '#!/bin/sh\nexit 0\n');
      await cable.runAt('second', 'busybox', 'udhcpc', '-f', '-q', '-n', '-i', 'nic0', '-s', quick, '-t', '5', '-T', '1');
      await cable.observed(/^REQUEST .* given 10\.78\.0\.50$/);
      // The renewals at half of six seconds go past the relay, straight to us.
      const renewals = () => readFileSync(log, 'utf8').match(/^RENEW /gm)?.length ?? 0;
      while (renewals() < 1) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.match(cable.clientAddresses(), /inet 10\.88\.0\.50\/24/);
      assert.equal(await cable.run('curl', '-s', '-m', '10', 'tftp://10.77.0.1/snponly.efi'), 'a boot program');
      await cable.run('dhclient', '-r', ...common, 'nic0');
      await cable.observed(/^RELEASE .* address released$/);
      if (client.signalCode === null && client.exitCode === null) await once(client, 'exit');

      const told = '10.88.0.50 255.255.255.0 10.88.0.1 10.77.0.1 1400';
      const reasons = readFileSync(log, 'utf8').split('\n');
      assert.deepEqual(reasons.filter((line) => /^(BOUND|RENEW)/.test(line)).slice(0, 2), [`BOUND ${told}`, `RENEW ${told}`]);
      const { dhcp, others } = await cable.counters();
      const { malformed, failed, nak, unknownSubnet } = dhcp;
      assert.deepEqual(
        { malformed, failed, nak, unknownSubnet, others },
        { malformed: 0, failed: 0, nak: 0, unknownSubnet: 0, others: [] },
      );
    },
  );

  test('a network that is not ours gets no answer through it', { timeout }, async () => {
    await using cable = new Cable('relay-no', routed);
    const folder = join(cable.folder, 'files');
    mkdirSync(folder);
    await cable.serve({ leaseSeconds: 60, folder, subnets: [subnetOf('10.77.0', 'rack0')] });
    cable.at('router', 'dhcrelay', '-4', '-d', '--no-pid', '-a', '-id', 'down0', '-iu', 'up0', '10.77.0.1');
    const quick = place(join(cable.folder, 'quick'), '#!/bin/sh\nexit 0\n');
    const client = cable.inClient('busybox', 'udhcpc', '-f', '-q', '-n', '-i', 'nic0', '-s', quick, '-t', '2', '-T', '1', '-A', '1');
    assert.deepEqual(await once(client, 'exit'), [1, null], 'it found no server');
    const { dhcp } = await cable.counters();
    assert.ok((dhcp['unknownSubnet'] ?? 0) > 0);
    assert.equal(dhcp['offer'], 0);
  });
});

/** A switch with a server that nobody wants. */
const shared: Wiring = {
  places: ['switch', 'other'],
  commands: [
    '-n @switch link add br0 type bridge',
    '-n @switch link set br0 up',
    ...(
      [
        ['server', 'rack0', '52:54:00:00:00:f1'],
        ['client', 'nic0', '52:54:00:00:00:01'],
        ['other', 'nic0', '52:54:00:00:00:09'],
      ] as const
    ).flatMap(([machine, name, mac]) => [
      `-n @switch link add ${machine} type veth peer name ${name} netns @${machine}`,
      `-n @switch link set ${machine} master br0 up`,
      `-n @${machine} link set ${name} address ${mac} up`,
    ]),
    '-n @server addr add 10.77.0.1/24 dev rack0',
    '-n @other addr add 10.77.0.9/24 dev nic0',
  ],
};

describe('dnsmasq on the same wire', () => {
  test('is found by our question and named with its MAC and boot file; a host that believes it tells so', { timeout }, async () => {
    await using cable = new Cable('rogue', shared);
    const folder = join(cable.folder, 'files');
    mkdirSync(folder);
    const range = '--dhcp-range=10.77.0.200,10.77.0.210,120';
    const alone = ['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--no-ping', '--user=root', '--log-facility=-'];
    const files = [`--dhcp-leasefile=${join(cable.folder, 'leases')}`, `--pid-file=${join(cable.folder, 'pid')}`];
    const rogue = cable.at('other', 'dnsmasq', ...alone, ...files, '--interface=nic0', range, '--dhcp-boot=pxelinux.0,rogue,10.77.0.10');
    await new Promise((resolve) => rogue.stderr?.on('data', (text: Buffer) => /IP range/.test(text.toString()) && resolve(undefined)));
    // Our pool holds one address, and that is somebody else's: the client can only take the other offer.
    const none = {
      ...subnetOf('10.77.0', 'rack0'),
      pool: { from: ip('10.77.0.50'), to: ip('10.77.0.50') },
      reservations: [{ mac: '52:54:00:00:00:77' as Mac, address: ip('10.77.0.50') }],
    };
    await cable.serve({ leaseSeconds: 60, folder, subnets: [none], known: ['52:54:00:00:00:01'] });
    let { others } = await cable.counters();
    while (others[0]?.mac === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      ({ others } = await cable.counters());
    }
    const named = { address: '10.77.0.9', mac: '52:54:00:00:00:09', interface: 'rack0', bootFile: 'pxelinux.0', nextServer: '10.77.0.10' };
    assert.equal(others.length, 1);
    assert.partialDeepStrictEqual(others[0], { ...named, how: 'offered to us' });

    const quick = place(join(cable.folder, 'quick'), '#!/bin/sh\nexit 0\n');
    await cable.run('busybox', 'udhcpc', '-f', '-q', '-n', '-i', 'nic0', '-s', quick, '-t', '5', '-T', '1');
    await cable.observed(/took the offer of another DHCP server, 10\.77\.0\.9$/);
    ({ others } = await cable.counters());
    assert.partialDeepStrictEqual(others, [{ ...named, how: 'chosen by a client' }]);
  });
});
