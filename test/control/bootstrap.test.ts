/** What the installed OS tells of its bootstrap: a failure stands, with the end of its log and no secret, until somebody begins again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootRoutes } from '../../src/api/boot-routes.ts';
import { mintPhoneHome } from '../../src/boot/ticket.ts';
import { Desk } from '../../src/control/desk.ts';
import { Keeper } from '../../src/control/keeper.ts';
import { PresenceBook } from '../../src/control/presence.ts';
import { plan } from '../../src/host/plan.ts';
import type { Host } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { after, claimed, installed, intent, provisioned, refusal, released } from '../host/make.ts';
import { testSealer } from '../store/sealer.ts';
import { fakeWorld } from '../world/fake.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';

const secret = new Uint8Array(32).fill(7);
const log = 'preflight ok\nkubeadm join 10.0.0.9:6443 --token abcdef.0123456789abcdef\nerror: connection refused\n';
const failure = { type: 'bootstrap-failed', claimId: 'c1', generation: 1, tail: 'x' } as const;

/** A boot listener over one host; posts to the phone-home URL of this generation. */
const listenerOver = async (host: Host) => {
  const world = fakeWorld();
  const store = await openSqliteStore(':memory:', limits, { sealer: testSealer });
  const presence = new PresenceBook(world.clock);
  const keeper = new Keeper({ store, clock: world.clock, log: world.log, presence });
  await keeper.create({ ...host, version: 0 }, 'made by a test');
  const nothing = (): Promise<never> => Promise.reject(new Error('no image is asked for here'));
  const images = { manifest: nothing, proof: nothing, chunkFile: nothing };
  const desk = new Desk({ keeper, presence, clock: world.clock, limits, images, secret, httpPort: 80 });
  const file = { sha256: 'a', name: 'a', path: '/a', sizeBytes: 1 };
  const deps = {
    desk,
    images,
    files: { kernel: file, initrd: file },
    limits,
    fingerprint: '',
    httpPort: 80,
    agentPort: 81,
    kernelArguments: '',
  };
  const http = new MemoryHttp({ clock: world.clock }).at(ipv4('10.0.0.1'));
  const routes = bootRoutes({ ...deps, observe: () => undefined }, ipv4('10.0.0.1'));
  await http.listen({ at: { address: ipv4('10.0.0.1'), port: 80 }, routes });
  const post = async (path: string, body: string, generation = 1): Promise<number> => {
    const token = mintPhoneHome(secret, host.id, { id: 'c1', generation });
    const url = `http://10.0.0.1/phone-home/${token}${path}`;
    return (await http.call({ method: 'POST', url, body, timeoutMs: 1000, replyBytesMax: 4096 })).status;
  };
  return { post, keeper, store, now: () => keeper.get(host.id) ?? assert.fail() };
};

test('a failure that is reported: the host has failed at bootstrap, its last lines are the reason, the token is not among them', async () => {
  const { post, now, store } = await listenerOver(installed);
  assert.equal(await post('/failed', log), 204);
  assert.equal(now().state, 'provisioning');
  assert.deepEqual([now().failed?.step, now().failed?.code], ['bootstrap', 'bootstrap-failed']);
  assert.match(now().failed?.reason ?? '', /--token \[removed\]\nerror: connection refused$/);
  const said = JSON.stringify(await store.timeline('h1', { most: 100 }));
  assert.ok(said.includes('connection refused') && !said.includes('0123456789abcdef'));
  // It is repeated until it is answered; cloud-init phones home all the same.
  const { version } = now();
  assert.equal(await post('/failed', 'again'), 204);
  assert.equal(now().version, version);
  assert.equal(await post('', 'hostname=one'), 204);
  assert.deepEqual([now().state, now().failed?.step], ['provisioned', 'bootstrap']);
});
test('who is not of this generation, or has no token, is refused; a log that is too long is too', async () => {
  const { post, now } = await listenerOver(installed);
  assert.equal(await post('/failed', log, 2), 409);
  assert.equal(await post('x/failed', log), 403);
  assert.equal(await post('/failed', 'x'.repeat(16 * 1024 + 1)), 413);
  assert.equal(now().failed, null);
  assert.equal(refusal(claimed, failure), 'generation-stale');
  assert.equal(refusal(released, failure), 'generation-stale');
  assert.equal(refusal(after(provisioned, { type: 'reprovision', claimId: 'c1', intent }), failure), 'generation-stale');
});
test('it waits for somebody; a retry puts the same generation on the disk again, a reprovision the next', () => {
  const host = after(provisioned, failure);
  const step = plan(host, { power: 'on', agentAt: 0 }, 2_000, limits);
  assert.ok(step.do === 'wait' && step.why.startsWith('failed at bootstrap: its OS reports'));
  const again = after(host, { type: 'retry', by: 'eve' });
  assert.deepEqual([again.state, again.claim?.generation, again.failed, again.facts.installed], ['provisioning', 1, null, null]);
  assert.equal(again.facts.dirty?.serial, 'd0');
  const next = after(host, { type: 'reprovision', claimId: 'c1', intent });
  assert.deepEqual([next.state, next.claim?.generation, next.failed], ['provisioning', 2, null]);
});
test('a retry of a running host that did not fail at its bootstrap leaves its disk alone', () => {
  const failed = { step: 'phone-home', code: 'internal', reason: 'x', at: 0, tries: 1 };
  const host = after({ ...provisioned, failed }, { type: 'retry', by: 'eve' });
  assert.deepEqual([host.state, host.facts.installed?.generation], ['provisioned', 1]);
});
