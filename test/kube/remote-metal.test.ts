/** What keeps a controller from a daemon elsewhere, each told in the controller's own words with what to do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { rackProbe } from '../../src/kube/remote-metal.ts';
import type { DaemonPlace } from '../../src/kube/daemon-calls.ts';
import { limits } from '../../src/limits.ts';
import type { Http, Route } from '../../src/world/world.ts';
import { benchWith, hostNumber } from '../control/bench.ts';
import { MemoryHttp, ipv4 } from '../world/memory-http.ts';
import { clockWith, daemonOver } from './daemon-over.ts';

const url = 'https://127.0.0.1:7471';
const sceneOf = async () => {
  const daemon = await daemonOver(await benchWith([hostNumber(0)]));
  const http = new MemoryHttp({ clock: clockWith([]) }).at(ipv4('127.0.0.1'));
  const identity = await http.selfSigned('daemon');
  const listen = (routes: readonly Route[], port: number) => http.listen({ at: { address: ipv4('127.0.0.1'), port }, identity, routes });
  await listen(daemon.routes, 7471);
  // As the listener of the agents is: ours, without the API.
  await listen([], 7443);
  await listen(
    [{ method: 'GET', path: '/v1/claims/:claim/standing', handle: async () => ({ status: 401, headers: {}, body: 'no' }) }],
    8443,
  );
  const { fingerprint } = identity;
  return { daemon, http, fingerprint, placeWith: (more: { token?: string }): DaemonPlace => ({ url, fingerprint, ...more }) };
};
const probeOf = (http: Pick<Http, 'call' | 'stream'>, place: DaemonPlace): (() => Promise<void>) => {
  const probe = rackProbe({ http, clock: clockWith([]), random: { next: () => 0 }, limits, place });
  return () => probe(new AbortController().signal);
};
const told = async (act: Promise<void>): Promise<string> => {
  try {
    await act;
  } catch (error) {
    assert.ok(error instanceof RemudaError, String(error));
    return `${error.message}; ${error.next ?? ''}`;
  }
  return 'nothing is missing';
};

describe('what a controller may', () => {
  for (const [role, says] of [
    ['viewer', /^the token’s role is viewer; operator is needed; remuda token create NAME --role operator .*--token-file/],
    ['operator', /^nothing is missing$/],
    ['admin', /^nothing is missing$/],
  ] as const)
    test(`a token of the role ${role}`, async () => {
      const { daemon, http, placeWith } = await sceneOf();
      const probe = probeOf(http, placeWith({ token: await daemon.tokenOf(role) }));
      for (let times = 0; times < 3; times++) assert.match(await told(probe()), says);
      assert.equal((await daemon.audit()).length, 1, 'its role is asked for once');
    });
});

test('what is missing', async () => {
  const { daemon, http, placeWith, fingerprint } = await sceneOf();
  const token = await daemon.tokenOf('operator');
  const other = 'ab'.repeat(32);
  const cases: readonly (readonly [place: DaemonPlace, says: RegExp])[] = [
    [placeWith({}), /does not let the controller in: it needs a token, and none was given; .*--token-file FILE or in REMUDA_TOKEN/],
    [
      placeWith({ token: `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}` }),
      /does not let the controller in: .*; .*--role operator/,
    ],
    [
      { url, token, fingerprint: other },
      new RegExp(`fingerprint ${fingerprint}, and ${other} is pinned; nothing was sent; compare it with .* log`),
    ],
    [{ url, token }, /SELF_SIGNED.*; compare it with .* log/],
    [{ url: 'https://127.0.0.1:1', token, fingerprint }, /was not reached: .*; check --url.*api\.listen.*7471/],
    [{ url: 'https://127.0.0.1:7443', token, fingerprint }, /is a Remuda, but not its API \(port 7443 is for agents\); check --url/],
    [{ url: 'https://127.0.0.1:8443', token, fingerprint }, /is no Remuda: it answers 401.*; check --url/],
  ];
  for (const [place, says] of cases) assert.match(await told(probeOf(http, place)()), says);
});
test('only a Remuda is asked for its version', async () => {
  const { daemon, http, placeWith } = await sceneOf();
  const token = await daemon.tokenOf('operator');
  const answering = (headers: Readonly<Record<string, string>>) => ({
    stream: (call: Parameters<Http['stream']>[0]) => http.stream(call),
    call: async () => ({ status: 200, headers, body: new TextEncoder().encode('{}') }),
  });
  assert.match(
    await told(probeOf(answering({ 'x-request-id': 'r1' }), placeWith({ token }))()),
    /this version of Remuda: .*; compare its version/,
  );
  assert.match(await told(probeOf(answering({}), placeWith({ token }))()), /is no Remuda: .*; check --url/);
});
