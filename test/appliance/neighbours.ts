/** What stands in the appliance's network: image servers, addresses that must not be asked, and BMCs, each counting what reaches it. A process of its own, run in the namespace. */
import { chmodSync } from 'node:fs';
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { issueCertificate } from '../../src/world/certificate.ts';
import { realWorld } from '../../src/world/real.ts';
import type { HttpRequest, Identity, Route } from '../../src/world/world.ts';
import { bmcUser, testMachine } from '../bmc/bench.ts';
import { ipv4 } from '../world/memory-http.ts';
import { places } from './neighbour-places.ts';
import type { Seen } from './neighbour-places.ts';

const [socket = '', image = ''] = process.argv.slice(2);
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
const world = realWorld({ signal: ending.signal, log: { level: 'silent' } });

const seen: { -readonly [K in keyof Seen]: Seen[K] } = {
  forbidden: [],
  redfishLogins: 0,
  redfishPasswords: [],
  ipmiLogins: 0,
  ipmiFailures: 0,
  expiredRequests: 0,
  fingerprints: { redfish: '', expired: '' },
  authority: '',
};

const dayMs = 24 * 3600_000;
const serveImages = async (): Promise<void> => {
  const { metadata, secret } = places;
  const redirect = (path: string, location: string): Route => ({
    method: 'GET',
    path,
    handle: async () => ({ status: 302, headers: { location } }),
  });
  await world.http.listen({
    at: { address: ipv4(places.images), port: 80 },
    routes: [
      { method: 'GET', path: '/disk.raw', handle: async () => ({ status: 200, body: { file: image, offset: 0, length: 64 * 1024 } }) },
      redirect('/to-metadata', `http://${metadata}/latest/meta-data/`),
      redirect('/to-private', `http://${secret}/secret.raw`),
      redirect('/to-itself', 'http://127.0.0.1/secret.raw'),
    ],
  });
  for (const at of [metadata, secret, '127.0.0.1'])
    await world.http.listen({
      at: { address: ipv4(at), port: 80 },
      routes: ['/secret.raw', '/latest/meta-data/'].map((path): Route => ({
        method: 'GET',
        path,
        handle: async () => {
          seen.forbidden = [...seen.forbidden, at];
          return { status: 200, body: 'a secret' };
        },
      })),
    });
};

const passwordIn = ({ body }: HttpRequest): string => {
  const said = JSON.parse(new TextDecoder().decode(body)) as { readonly Password?: string };
  return said.Password ?? '';
};
const redfishRoutes = (): readonly Route[] =>
  redfishBmc({ name: 'u1', machine: testMachine(), ...bmcUser, random: world.random, clock: world.clock }).routes;
const serveRedfish = async (): Promise<void> => {
  const identity = await world.http.selfSigned('bmc-u1');
  seen.fingerprints = { ...seen.fingerprints, redfish: identity.fingerprint };
  const routes = redfishRoutes().map((route): Route => ({
    ...route,
    handle: (request) => {
      // Every way in which a password may come.
      if (request.method === 'POST' && request.path.startsWith('/redfish/v1/SessionService/Sessions')) {
        seen.redfishLogins += 1;
        seen.redfishPasswords = [...seen.redfishPasswords, passwordIn(request)];
      }
      if (request.headers['authorization'] !== undefined) seen.redfishLogins += 1;
      return route.handle(request);
    },
  }));
  await world.http.listen({ at: { address: ipv4(places.redfish), port: 443 }, routes, identity });
};

/** Signed by a good authority, and ended yesterday. */
const expiredIdentity = async (): Promise<Identity> => {
  const now = world.clock.now();
  const dates = { notBefore: now - 400 * dayMs, notAfter: now + 400 * dayMs };
  const authority = await issueCertificate({ commonName: 'rack authority', isAuthority: true, ...dates });
  seen.authority = authority.certificate;
  const issuer = { commonName: 'rack authority', key: authority.key };
  return issueCertificate({ commonName: places.expired, ...dates, notAfter: now - dayMs, issuer });
};
const serveExpired = async (): Promise<void> => {
  const identity = await expiredIdentity();
  seen.fingerprints = { ...seen.fingerprints, expired: identity.fingerprint };
  const routes = redfishRoutes().map((route): Route => ({
    ...route,
    handle: (request) => {
      seen.expiredRequests += 1;
      return route.handle(request);
    },
  }));
  await world.http.listen({ at: { address: ipv4(places.expired), port: 443 }, routes, identity });
};

const serveIpmi = async (): Promise<() => void> => {
  const bmc = ipmiBmc({ name: 'u2', machine: testMachine('bios'), ...bmcUser, random: world.random, clock: world.clock });
  carryIpmi(bmc, await world.net.udp({ address: ipv4(places.ipmi), port: 623 }), world.clock);
  return () => {
    seen.ipmiLogins = bmc.logins.started;
    seen.ipmiFailures = bmc.logins.failed;
  };
};

await serveImages();
await serveRedfish();
await serveExpired();
const look = await serveIpmi();
const tell = async () => {
  look();
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(seen) };
};
await world.http.listen({ at: { socket }, routes: [{ method: 'GET', path: '/', handle: tell }] });
chmodSync(socket, 0o600);
console.log('the neighbours serve');
