/** Certificates in the DER that RFC 5280 §4.1 draws: a daemon's own, self-signed, which its clients pin; and such that an authority signed. */
import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPair, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { RemudaError, reasonOf } from '../errors.ts';
import { parseIpv4 } from '../wire/address.ts';
import type { Files, Identity } from './world.ts';

const dayMs = 24 * 3600_000;
/** The daemon is pinned, not renewed: a certificate that ends would take every claimed host's connection with it. */
const validDays = 3652;

/** DER: tag, length, content (X.690 §8.1). */
const der = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Uint8Array.of(tag, content.length), content]);
  const length = Buffer.from(content.length.toString(16).padStart(content.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Uint8Array.of(tag, 0x80 | length.length), length, content]);
};
const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(0x30, ...parts);
const bitString = (bytes: Uint8Array, unusedBits = 0): Uint8Array => der(0x03, Uint8Array.of(unusedBits), bytes);
const octetString = (bytes: Uint8Array): Uint8Array => der(0x04, bytes);
const utf8 = (text: string): Uint8Array => der(0x0c, Buffer.from(text));
const truth = der(0x01, Uint8Array.of(0xff));

/** Base 128 with the first two arcs in one number, X.690 §8.19. */
const objectId = (dotted: string): Uint8Array => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const base128 = (value: number): readonly number[] =>
    value < 0x80 ? [value] : [...base128(value >>> 7).map((byte) => byte | 0x80), value & 0x7f];
  return der(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
};
/** UTCTime to 2049, GeneralizedTime from 2050: RFC 5280 §4.1.2.5. */
const time = (ms: number): Uint8Array => {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return Number(digits.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
};

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'));
const nameOf = (commonName: string): Uint8Array => sequence(der(0x31, sequence(objectId('2.5.4.3'), utf8(commonName))));

const extension = (id: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(objectId(id), ...(critical ? [truth] : []), octetString(value));
/** RFC 5280 §4.2.1: called by this name or address; signs its own handshakes and serves, or signs certificates. */
const extensionsFor = (commonName: string, isAuthority: boolean): Uint8Array => {
  const ip = parseIpv4(commonName);
  const alternative = ip === undefined ? der(0x82, Buffer.from(commonName)) : der(0x87, Uint8Array.from(ip.split('.').map(Number)));
  const purpose = isAuthority
    ? [
        extension('2.5.29.19', sequence(truth), true),
        // keyCertSign, bit 5.
        extension('2.5.29.15', bitString(Uint8Array.of(0x04), 2), true),
      ]
    : [
        extension('2.5.29.19', sequence(), true),
        // digitalSignature, bit 0.
        extension('2.5.29.15', bitString(Uint8Array.of(0x80), 7), true),
        extension('2.5.29.37', sequence(objectId('1.3.6.1.5.5.7.3.1'))),
      ];
  return der(0xa3, sequence(...purpose, extension('2.5.29.17', sequence(alternative))));
};

const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes)
    .toString('base64')
    .replaceAll(/(.{64})(?!$)/g, '$1\n')}\n-----END ${label}-----\n`;

/** Lower-case hex SHA-256 of a DER certificate: what clients pin. */
export const fingerprintOf = (certificateDer: Uint8Array): string => createHash('sha256').update(certificateDer).digest('hex');

export interface CertificateRequest {
  /** Its name, or its IPv4 address. */
  readonly commonName: string;
  /** ms since 1970 */
  readonly notBefore: number;
  readonly notAfter: number;
  /** May sign others. */
  readonly isAuthority?: boolean;
  /** Who signs; without it the certificate signs itself. */
  readonly issuer?: { readonly commonName: string; readonly key: string };
}
/** A new ECDSA P-256 key and its certificate. */
export const issueCertificate = async (request: CertificateRequest): Promise<Identity> => {
  const { commonName, notBefore, notAfter, isAuthority = false, issuer } = request;
  const pair = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const serial = randomBytes(16);
  // Positive and without a leading zero byte: RFC 5280 §4.1.2.2.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serial),
    ecdsaWithSha256,
    nameOf(issuer?.commonName ?? commonName),
    sequence(time(notBefore), time(notAfter)),
    nameOf(commonName),
    createPublicKey({ key: pair.publicKey, format: 'der', type: 'spki' }).export({ format: 'der', type: 'spki' }),
    extensionsFor(commonName, isAuthority),
  );
  const signature = sign('sha256', body, createPrivateKey(issuer?.key ?? pair.privateKey));
  const certificate = sequence(body, ecdsaWithSha256, bitString(signature));
  return { key: pair.privateKey, certificate: pem('CERTIFICATE', certificate), fingerprint: fingerprintOf(certificate) };
};

/** A daemon's own: valid from a day before `nowMs` (clocks of servers differ) for ten years. */
export const selfSigned = (commonName: string, nowMs: number): Promise<Identity> =>
  issueCertificate({ commonName, notBefore: nowMs - dayMs, notAfter: nowMs + validDays * dayMs });

/** Until when a PEM certificate is valid, ms since 1970. */
export const validUntil = (certificate: string): number => Date.parse(new X509Certificate(certificate).validTo);

/**
 * The certificate (its chain behind it) and the key that an operator brought, checked: both can be read, belong together, and the
 * certificate has not ended. `bad-config` says what is wrong; `where` names the files.
 */
export const identityFrom = (given: { readonly certificate: string; readonly key: string }, where: string, nowMs: number): Identity => {
  let certificate: X509Certificate;
  let fits: boolean;
  try {
    certificate = new X509Certificate(given.certificate);
    fits = certificate.checkPrivateKey(createPrivateKey(given.key));
  } catch (cause) {
    throw new RemudaError('bad-config', `${where}: the certificate or its key is not PEM that can be read: ${reasonOf(cause)}`, { cause });
  }
  if (!fits) throw new RemudaError('bad-config', `${where}: the key is not the one of the certificate`);
  if (Date.parse(certificate.validTo) <= nowMs)
    throw new RemudaError('bad-config', `${where}: the certificate ended on ${certificate.validTo}: renew it`);
  return { ...given, fingerprint: fingerprintOf(certificate.raw) };
};

/** The same from two PEM files; `not-found` where one is not there. */
export const identityFromFiles = async (
  files: Pick<Files, 'read'>,
  { certificate, key }: { readonly certificate: string; readonly key: string },
  nowMs: number,
): Promise<Identity> => {
  const text = async (path: string): Promise<string> => new TextDecoder().decode(await files.read(path));
  return identityFrom({ certificate: await text(certificate), key: await text(key) }, `${certificate} and ${key}`, nowMs);
};
