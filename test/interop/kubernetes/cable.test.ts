/** A cable into a rack's network: what listens on this machine's end is reached from inside, and the cable goes with the rack. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { plugIn } from '../../../src/lab/plane/cable.ts';
import { makeRackNet, removeRackNet } from '../../../src/lab/net.ts';
import { parseIpv4 } from '../../../src/wire/address.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';

const life = new AbortController();
const lab = realLabWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
const name = `cable-${process.pid}`;
after(async () => {
  await removeRackNet(lab, name);
  life.abort(new DOMException('the tests are over', 'AbortError'));
});
const links = async (): Promise<string> => (await lab.processes.run('ip', ['-o', 'addr'], { timeoutMs: 10_000 })).stdout;

test('a server of this machine is a neighbour of the rack', async () => {
  const net = await makeRackNet(lab, name, { taps: 1, prefix: '10.79.0' });
  const cable = await plugIn(lab, net);
  assert.equal(cable.address, '10.79.0.250');
  const address = parseIpv4(cable.address);
  assert.ok(address);
  const routes = [{ method: 'GET', path: '/', handle: async () => ({ status: 200, body: 'here' }) }] as const;
  const listener = await lab.http.listen({ at: { address, port: 0 }, routes });
  const url = `http://${cable.address}:${listener.port ?? 0}/`;
  const args = ['netns', 'exec', net.namespace, 'curl', '--silent', '--max-time', '10', url];
  const { stdout } = await lab.processes.run('ip', args, { timeoutMs: 20_000 });
  assert.equal(stdout, 'here');
  await listener.close();
  await cable.unplug();
  assert.doesNotMatch(await links(), /10\.79\.0\.250/);
  await cable.unplug();
});

test('it goes with the rack', async () => {
  const net = await makeRackNet(lab, name, { taps: 1, prefix: '10.79.0' });
  const cable = await plugIn(lab, net, 251);
  assert.match(await links(), /10\.79\.0\.251/);
  await removeRackNet(lab, name);
  const until = Date.now() + 10_000;
  while ((await links()).includes(cable.address) && Date.now() < until) await lab.clock.sleep(50);
  assert.doesNotMatch(await links(), /10\.79\.0\.251/);
});
