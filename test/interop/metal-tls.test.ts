/** A controller elsewhere and its daemon over real TLS on loopback: the whole suite by fingerprint and by authority, and who is not trusted. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Host } from '../../src/host/host.ts';
import { issueCertificate } from '../../src/world/certificate.ts';
import { realWorld } from '../../src/world/real.ts';
import type { Identity, Listener } from '../../src/world/world.ts';
import { metalSuite, refusalOf } from '../compliance/metal.ts';
import type { MetalBench } from '../compliance/metal.ts';
import { benchWith, hostNumber } from '../control/bench.ts';
import { daemonOver } from '../kube/daemon-over.ts';
import { ipv4 } from '../world/memory-http.ts';

const life = new AbortController();
const world = realWorld({ signal: life.signal, log: { level: 'error', destination: 'stderr', pretty: false } });
const listeners: Listener[] = [];
after(async () => {
  life.abort(new DOMException('the tests are over', 'AbortError'));
  await Promise.all(listeners.map((listener) => listener.close()));
});
const local = '127.0.0.1';
const day = 24 * 3600_000;
const span = { notBefore: world.clock.now() - day, notAfter: world.clock.now() + day };
const authority = await issueCertificate({ commonName: 'rack authority', ...span, isAuthority: true });
const stranger = await issueCertificate({ commonName: 'another authority', ...span, isAuthority: true });
const mine = await issueCertificate({ commonName: local, ...span, issuer: { commonName: 'rack authority', key: authority.key } });

/** Where a daemon with this identity answers over this rack. */
const overTls = async (bench: Omit<MetalBench, 'metal' | 'end'>, identity: Identity) => {
  const daemon = await daemonOver(bench);
  const listener = await world.http.listen({ at: { address: ipv4(local), port: 0 }, identity, routes: daemon.routes });
  listeners.push(listener);
  const url = `https://${local}:${listener.port}/`;
  return (trust: { readonly fingerprint?: string; readonly ca?: string }) => daemon.metalAt(world.http, { url, ...trust });
};
const trusting =
  (trust: { readonly fingerprint?: string; readonly ca?: string }) =>
  async (hosts: readonly Host[]): Promise<MetalBench> => {
    const bench = await benchWith(hosts);
    return { ...bench, ...(await overTls(bench, mine))(trust) };
  };
metalSuite('over TLS by fingerprint', trusting({ fingerprint: mine.fingerprint }));
metalSuite('over TLS by authority', trusting({ ca: authority.certificate }));

test('who is not the daemon that was named gets no token: another certificate, another authority, none that the system knows', async () => {
  const bench = await benchWith([hostNumber(0)]);
  const at = await overTls(bench, mine);
  for (const trust of [{ fingerprint: stranger.fingerprint }, { ca: stranger.certificate }, {}]) {
    const { metal, end } = at(trust);
    assert.match(JSON.stringify(await refusalOf(metal.hosts())), /"rack-unreachable".*(certificate|fingerprint)/, JSON.stringify(trust));
    end();
  }
});
