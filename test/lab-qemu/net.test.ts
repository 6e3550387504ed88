/** The private network: made, made again over what a crash left, removed; and nothing of it outside. Needs root. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { after, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { makeRackNet, rackNet, removeRackNet } from '../../src/lab/net.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const name = `test-net-${process.pid}`;
const stop = new AbortController();
const lab = realLabWorld({ signal: stop.signal, log: { level: 'silent' } });
after(async () => {
  await removeRackNet(lab, name);
  stop.abort(new Error('the end'));
});

const inside = async (namespace: string, ...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await lab.processes.run('ip', ['-n', namespace, ...args], { timeoutMs: 10_000 });
  assert.equal(code, 0, stderr);
  return stdout;
};

test('bridge, address and taps are in the namespace, and nothing is outside', async () => {
  const before = Object.keys(networkInterfaces());
  const net = await makeRackNet(lab, name, { taps: 2, prefix: '10.99.3' });
  assert.deepEqual(net, {
    namespace: `remuda-${name}`,
    bridge: 'br0',
    address: '10.99.3.1',
    cidr: '10.99.3.0/24',
    taps: ['tap0', 'tap1'],
    bmcAddresses: ['10.99.255.10', '10.99.255.11'],
  });
  assert.match(await inside(net.namespace, '-4', '-o', 'addr', 'show', 'dev', 'br0'), /10\.99\.3\.1\/24/);
  const bridge = await inside(net.namespace, '-d', 'link', 'show', 'br0');
  assert.match(bridge, /forward_delay 0 /);
  assert.match(bridge, /stp_state 0 /);
  assert.match(bridge, /mcast_snooping 0 /);
  for (const tap of net.taps) assert.match(await inside(net.namespace, 'link', 'show', tap), /master br0/);
  assert.match(await inside(net.namespace, '-4', '-o', 'addr', 'show', 'dev', 'bmc0'), /10\.99\.255\.10\/24[^]*10\.99\.255\.11\/24/);
  assert.match(await inside(net.namespace, 'link', 'show', 'lo'), /UP/);
  assert.deepEqual(Object.keys(networkInterfaces()), before);
});

test('with two subnets, the second half is plugged in behind a router', async () => {
  const net = await makeRackNet(lab, name, { taps: 3, prefix: '10.99.3', subnets: 2 });
  assert.deepEqual(net.far, {
    namespace: `remuda-${name}-relay`,
    bridge: 'br1',
    cidr: '10.99.4.0/24',
    router: '10.99.4.1',
    nearAddress: '10.99.3.2',
  });
  for (const [tap, bridge] of [
    ['tap0', 'br0'],
    ['tap1', 'br0'],
    ['tap2', 'br1'],
  ] as const)
    assert.match(await inside(net.namespace, 'link', 'show', tap), new RegExp(`master ${bridge}`));
  assert.equal(await inside(net.namespace, '-4', '-o', 'addr', 'show', 'dev', 'br1'), '');
  // A router that is reached says that nobody listens there.
  const knock = ['netns', 'exec', net.namespace, 'bash', '-c', 'echo >/dev/tcp/10.99.4.1/9'];
  assert.match((await lab.processes.run('ip', knock, { timeoutMs: 10_000 })).stderr, /Connection refused/);
  const forwards = ['netns', 'exec', net.far?.namespace ?? '', 'cat', '/proc/sys/net/ipv4/ip_forward'];
  assert.equal((await lab.processes.run('ip', forwards, { timeoutMs: 10_000 })).stdout, '1\n');
  await removeRackNet(lab, name);
  for (const namespace of [net.namespace, net.far?.namespace]) assert.equal(existsSync(`/run/netns/${namespace}`), false);
  await makeRackNet(lab, name, { taps: 1 });
});

test('what a crashed run left is ended, also a process that ignores SIGTERM', async () => {
  const { namespace } = rackNet(name, { taps: 1 });
  const left = await lab.processes.spawn(
    'ip',
    ['netns', 'exec', namespace, 'sh', '-c', "trap '' TERM; echo ready; while :; do sleep 1; done"],
    {
      stdout: 'lines',
    },
  );
  await new Promise<void>((resolve) => left.lines(() => resolve()));
  const net = await makeRackNet(lab, name, { taps: 1 });
  assert.equal((await left.wait()).signal, 'SIGKILL');
  assert.equal(net.address, '10.77.0.1');
  assert.doesNotMatch(await inside(namespace, '-4', '-o', 'addr'), /10\.99\.3\.1/);
  await removeRackNet(lab, name);
  assert.equal(existsSync(`/run/netns/${namespace}`), false);
  await removeRackNet(lab, name);
});

test('names and networks that cannot be are refused', () => {
  for (const [bad, prefix] of [
    ['a b', '10.77.0'],
    ['../x', '10.77.0'],
    ['', '10.77.0'],
    ['rack', '10.77'],
    ['rack', '10.77.300'],
  ] as const)
    // prettier-ignore
    assert.throws(
      () => rackNet(bad, { taps: 1, prefix }),
      (error) => error instanceof RemudaError && error.code === 'bad-config',
    );
});
