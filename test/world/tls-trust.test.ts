/** Which certificates a call believes: real TLS servers with good, expired, foreign and misnamed ones, each refused in its own words. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import { issueCertificate } from '../../src/world/certificate.ts';
import { httpCall } from '../../src/world/http-client.ts';
import type { HttpCall, Identity } from '../../src/world/world.ts';

const dayMs = 24 * 3600_000;
const now = Date.now();
const fresh = { notBefore: now - dayMs, notAfter: now + dayMs };
const world = new AbortController();
const servers: Server[] = [];
after(() => {
  world.abort();
  for (const server of servers) server.close();
});

/** A TLS server with this certificate, which keeps every byte that comes after the handshake. */
const serve = async ({ key, certificate }: Identity) => {
  const received: Uint8Array[] = [];
  const server = createServer({ key, cert: certificate }, (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Uint8Array) => {
      received.push(chunk);
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, received: () => Buffer.concat(received).toString() };
};
const call = (url: string, trust: Partial<HttpCall>) =>
  httpCall(
    { method: 'GET', url, headers: { authorization: 'Basic s3cret' }, timeoutMs: 10_000, replyBytesMax: 1000, ...trust },
    world.signal,
  );

const root = await issueCertificate({ commonName: 'Rack CA', ...fresh, isAuthority: true });
const issuer = { commonName: 'Rack CA', key: root.key };
const bmc = { commonName: '127.0.0.1', issuer } as const;
const good = await issueCertificate({ ...bmc, ...fresh });
const expired = await issueCertificate({ ...bmc, notBefore: Date.UTC(2020, 0, 1), notAfter: Date.UTC(2021, 4, 6) });
const early = await issueCertificate({ ...bmc, notBefore: Date.UTC(2091, 1, 3), notAfter: Date.UTC(2092, 0, 1) });
const misnamed = await issueCertificate({ ...bmc, commonName: 'other.example', ...fresh });
const stranger = await issueCertificate({ commonName: 'Other CA', ...fresh, isAuthority: true });
const foreign = await issueCertificate({ commonName: '127.0.0.1', issuer: { commonName: 'Other CA', key: stranger.key }, ...fresh });
const old = await issueCertificate({ commonName: 'Old CA', notBefore: now - 9 * dayMs, notAfter: now - 8 * dayMs, isAuthority: true });
const ofOld = await issueCertificate({ commonName: '127.0.0.1', issuer: { commonName: 'Old CA', key: old.key }, ...fresh });
const lonely = await issueCertificate({ commonName: '127.0.0.1', ...fresh });

const believed: readonly (readonly [string, Identity, Partial<HttpCall>])[] = [
  ['of the given authority', good, { ca: root.certificate }],
  ['of one of several given authorities', good, { ca: `${stranger.certificate}\n${root.certificate}` }],
  ['given itself as the authority', lonely, { ca: lonely.certificate }],
  ['pinned, whoever signed it', foreign, { fingerprint: foreign.fingerprint }],
  ['pinned, though another authority is given', foreign, { fingerprint: foreign.fingerprint, ca: root.certificate }],
  ['pinned for another name', misnamed, { fingerprint: misnamed.fingerprint }],
  ['pinned and expired, by an explicit word', expired, { fingerprint: expired.fingerprint, insecure: true }],
  ['expired, by an explicit word', expired, { insecure: true }],
];
for (const [name, identity, trust] of believed)
  test(`believed: ${name}`, async () => {
    const { url } = await serve(identity);
    assert.equal((await call(url, trust)).status, 200);
  });

const refused: readonly (readonly [string, Identity, Partial<HttpCall>, RegExp])[] = [
  ['expired', expired, { ca: root.certificate }, /its certificate expired on 2021-05-06; renew it there, or say insecure/],
  ['expired, though pinned', expired, { fingerprint: expired.fingerprint }, /its certificate expired on 2021-05-06/],
  ['not valid yet', early, { ca: root.certificate }, /not valid before 2091-02-03; is the clock wrong/],
  ['of an authority that expired', ofOld, { ca: old.certificate }, /an authority in the chain of its certificate has expired/],
  ['for another name', misnamed, { ca: root.certificate }, /its certificate is for other\.example, not for this address/],
  ['of another authority', foreign, { ca: root.certificate }, /from none of the given authorities, but from CN=Other CA/],
  ['of another authority, though insecure is said too', foreign, { ca: root.certificate, insecure: true }, /none of the given authorities/],
  ['self-signed', lonely, {}, /no authority that this system knows vouches.*SELF_SIGNED.*pin its fingerprint, or give its CA/],
  ['another than the pinned one', good, { fingerprint: foreign.fingerprint }, /shows another certificate than the pinned one/],
];
for (const [name, identity, trust, says] of refused)
  test(`refused in its own words, before anything was sent: ${name}`, async () => {
    const { url, received } = await serve(identity);
    await assert.rejects(call(url, trust), (error: Error & { code?: string; values?: Record<string, unknown> }) => {
      assert.equal(error.code, 'bmc-untrusted');
      assert.match(error.message, says);
      assert.match(error.message, /nothing was sent/);
      assert.equal(error.values?.['seen'], identity.fingerprint);
      return true;
    });
    assert.equal(received(), '');
  });

for (const [name, ca] of [
  ['no PEM at all', 'hello'],
  ['a broken certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ['a key', root.key],
] as const)
  test(`an authority that is none is bad-config: ${name}`, async () => {
    const { url } = await serve(good);
    await assert.rejects(call(url, { ca }), { code: 'bad-config', message: /the CA for https/ });
  });
