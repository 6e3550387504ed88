/** Whether the certificate that a server shows is to be believed; decided after the handshake and before one byte of the request has left. */
import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { RemudaError, reasonOf } from '../errors.ts';
import { fingerprintOf } from './certificate.ts';
import type { HttpCall } from './world.ts';

export type Trust = Pick<HttpCall, 'url' | 'fingerprint' | 'ca' | 'insecure'>;

const oneCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const next = 'name a PEM file with the authorities themselves, not with a key or a certificate of theirs';
/** Throws `bad-config` where the text is not one or more certificates in PEM: OpenSSL would silently believe none. */
const authorities = ({ url, ca = '' }: Trust): readonly string[] => {
  const found = ca.match(oneCertificate) ?? [];
  try {
    if (found.length > 0 && found.every((one) => new X509Certificate(one).raw.length > 0)) return found;
  } catch (cause) {
    throw new RemudaError('bad-config', `the CA for ${url} is no certificate: ${reasonOf(cause)}`, { cause, values: { url }, next });
  }
  throw new RemudaError('bad-config', `the CA for ${url} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)`, {
    values: { url },
    next,
  });
};

/** OpenSSL looks at the chain, and lets the handshake end whatever it sees: the verdict is ours. */
export const trustOptions = (trust: Trust): ConnectionOptions => ({
  rejectUnauthorized: false,
  ...(trust.ca === undefined || trust.fingerprint !== undefined ? {} : { ca: [...authorities(trust)] }),
});

const day = (date: Date): string => date.toISOString().slice(0, 10);
const outOfTime = (certificate: X509Certificate, nowMs: number): string | undefined => {
  if (nowMs > certificate.validToDate.getTime())
    return `its certificate expired on ${day(certificate.validToDate)}; renew it there, or say insecure for this one`;
  if (nowMs < certificate.validFromDate.getTime())
    return `its certificate is not valid before ${day(certificate.validFromDate)}; is the clock wrong here, or was it there?`;
  return undefined;
};
const namesOf = (certificate: X509Certificate): string =>
  certificate.subjectAltName?.replaceAll(/(DNS|IP Address):/g, '') ?? certificate.subject.replaceAll('\n', ', ');

/** Why OpenSSL and Node do not believe it, in words; `errno` is theirs. */
const disbelief = (trust: Trust, certificate: X509Certificate, errno: string): string => {
  const late = outOfTime(certificate, Date.now());
  if (late !== undefined) return late;
  if (errno === 'CERT_HAS_EXPIRED') return 'an authority in the chain of its certificate has expired';
  if (/ALTNAME|HOSTNAME|IP_ADDRESS_MISMATCH/.test(errno)) return `its certificate is for ${namesOf(certificate)}, not for this address`;
  const issuer = certificate.issuer.replaceAll('\n', ', ');
  return trust.ca === undefined
    ? `no authority that this system knows vouches for its certificate (${errno}); pin its fingerprint, or give its CA`
    : `its certificate comes from none of the given authorities, but from ${issuer} (${errno})`;
};

/**
 * A pinned fingerprint stands for the certificate, whoever signed it; otherwise the given authorities, otherwise those of the system.
 * `insecure` believes anything, except another certificate than the pinned one. Throws `bmc-untrusted`, with the certificate's
 * fingerprint in `values.seen`; the socket is then closed.
 */
export const judgeCertificate = (trust: Trust, what: string, socket: TLSSocket): void => {
  const certificate = socket.getPeerX509Certificate();
  const seen = fingerprintOf(certificate?.raw ?? new Uint8Array());
  const why = verdict(trust, certificate, { seen, errno: String(socket.authorizationError ?? '') });
  if (why === undefined) return;
  socket.destroy();
  const expected = trust.fingerprint === undefined ? {} : { expected: plainHex(trust.fingerprint) };
  throw new RemudaError('bmc-untrusted', `${what}: ${why}; nothing was sent`, { values: { url: trust.url, ...expected, seen } });
};

const plainHex = (fingerprint: string): string => fingerprint.toLowerCase().replaceAll(':', '');
const verdict = (
  trust: Trust,
  certificate: X509Certificate | undefined,
  { seen, errno }: { readonly seen: string; readonly errno: string },
): string | undefined => {
  if (certificate === undefined) return 'shows no certificate';
  if (trust.fingerprint !== undefined) {
    if (seen !== plainHex(trust.fingerprint)) return 'shows another certificate than the pinned one';
    return trust.insecure === true ? undefined : outOfTime(certificate, Date.now());
  }
  if (trust.ca === undefined && trust.insecure === true) return undefined;
  return errno === '' ? undefined : disbelief(trust, certificate, errno);
};
