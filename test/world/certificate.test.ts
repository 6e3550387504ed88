/** The daemon's own certificate, as Node's and OpenSSL's verifiers see it. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { selfSigned } from '../../src/world/certificate.ts';

const now = Date.UTC(2026, 10, 21, 12);
const dayMs = 24 * 3600_000;

for (const name of ['10.77.0.1', 'remuda.example'])
  test(`for ${name}: signed by its own key, valid ten years, called by its name`, async () => {
    const identity = await selfSigned(name, now);
    const certificate = new X509Certificate(identity.certificate);
    assert.ok(certificate.verify(certificate.publicKey));
    assert.equal(certificate.ca, false);
    assert.equal(certificate.subject, `CN=${name}`);
    assert.equal(certificate.checkHost(name) ?? certificate.checkIP(name), name);
    assert.equal(certificate.checkHost('other.example') ?? certificate.checkIP('10.77.0.2'), undefined);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    assert.equal(certificate.fingerprint256.replaceAll(':', '').toLowerCase(), identity.fingerprint);
    assert.equal(certificate.validFromDate.getTime(), now - dayMs);
    assert.equal(certificate.validToDate.getTime(), now + 3652 * dayMs);
  });

test('no two certificates share a serial number, and none is negative or padded', async () => {
  const serials = await Promise.all(
    Array.from({ length: 8 }, async () => new X509Certificate((await selfSigned('x', now)).certificate).serialNumber),
  );
  assert.equal(new Set(serials).size, 8);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
});

test('from 2050 on dates are written with four digits of the year', async () => {
  const { certificate } = await selfSigned('x', Date.UTC(2045, 0, 1));
  assert.equal(new X509Certificate(certificate).validToDate.getUTCFullYear(), 2055);
});

test('an ordinary client that is given the certificate as its authority accepts the name, and no other name', async () => {
  const identity = await selfSigned('127.0.0.1', Date.now());
  const server = createServer({ key: identity.key, cert: identity.certificate }, (socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const greet = (servername?: string) =>
    new Promise<string>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', ca: identity.certificate, ...(servername === undefined ? {} : { servername }) });
      socket.once('data', (text) => resolve(text.toString()));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    });
  assert.equal(await greet(), 'hello');
  assert.equal(await greet('other.example'), 'ERR_TLS_CERT_ALTNAME_INVALID');
  server.close();
});
