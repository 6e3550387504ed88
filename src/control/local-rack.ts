/** The rack in this process: what the API may ask becomes events of the rulebook. */
import { RemudaError } from '../errors.ts';
import { newHost } from '../host/host.ts';
import type { Host, HostBmc } from '../host/host.ts';
import { parseMac } from '../wire/address.ts';
import type { Mac } from '../wire/address.ts';
import { dryRunOf, intentOf, placeClaim } from './claiming.ts';
import type { RackParts } from './claiming.ts';
import type { Keeper } from './keeper.ts';
import type { Asker, Enrol, HostView, Rack, Reprovision } from './rack.ts';

const macsOf = (texts: readonly string[]): readonly Mac[] => texts.map((text) => parseMac(text)).filter((mac) => mac !== undefined);
/** Without the keys that are absent: optional fields are absent or there, never undefined. */
const bmcOf = (bmc: { readonly [K in keyof HostBmc]: HostBmc[K] | undefined } | undefined): { readonly bmc?: HostBmc } => {
  if (bmc === undefined) return {};
  const { protocol = 'redfish', url = '', username = '', password = '', fingerprint, insecure, system } = bmc;
  return {
    bmc: {
      protocol,
      url,
      username,
      password,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(insecure === undefined ? {} : { insecure }),
      ...(system === undefined ? {} : { system }),
    },
  };
};

const viewOf = ({ presence }: RackParts, host: Host): HostView => {
  const { doing, progress } = presence.of(host.id);
  const busy = progress !== undefined && host.job?.id === progress.job;
  return {
    host,
    doing:
      host.held === null
        ? doing?.version === host.version
          ? doing.text
          : 'about to take its next step'
        : `held by ${host.held.by}: ${host.held.why}`,
    ...(busy ? { progress } : {}),
  };
};

const enrol = ({ world, keeper, newId }: RackParts, spec: Enrol, { by }: Asker): Promise<Host> => {
  const macs = macsOf(spec.macs);
  if (macs.length === 0 && spec.bmc === undefined)
    return Promise.reject(
      new RemudaError('bad-request', `${spec.name}: name a MAC address or a BMC; without either nobody can recognise the server`),
    );
  const fresh = {
    id: newId('h'),
    name: spec.name,
    state: 'enrolled' as const,
    macs,
    ...(spec.firmware === undefined ? {} : { firmware: spec.firmware }),
    ...bmcOf(spec.bmc),
  };
  return keeper.create(newHost(fresh, world.clock.now()), `enrolled by ${by}`);
};

/** One command to the BMC, for a person; what one reading showed afterwards stands in the timeline. */
const power = async (
  { world, keeper, driverFor }: RackParts,
  idOrName: string,
  wanted: 'on' | 'off',
  { by, ifVersion }: Asker,
): ReturnType<Rack['power']> => {
  const host = await keeper.look(idOrName, ifVersion);
  if (host.bmc === null) throw new RemudaError('state-conflict', `host ${host.name} has no BMC: press its power button`);
  const { settled, observed, note } = await driverFor(host.bmc).setPower(wanted, world.signal);
  await keeper.apply(host.id, { type: 'power-commanded', by, wanted, note: settled ? `it is ${observed}` : `the BMC shows ${observed}` });
  if (observed !== 'unknown') await keeper.apply(host.id, { type: 'power-seen', power: observed });
  return { observed, settled, ...(note === undefined ? {} : { note }) };
};

const holderOf = async ({ store, keeper }: RackParts, claimId: string): Promise<{ readonly host: Host; readonly released: boolean }> => {
  const row = await store.claim(claimId);
  const host = row === undefined ? undefined : keeper.get(row.hostId);
  if (row === undefined || host === undefined)
    throw new RemudaError('claim-not-found', `there is no claim ${claimId}; \`remuda claim list\` shows all`);
  return { host, released: row.releasedAt !== null };
};
const reprovision = async (parts: RackParts, claimId: string, wanted: Reprovision, { ifVersion }: Asker): Promise<Host> => {
  const { host } = await holderOf(parts, claimId);
  if (host.claim?.id !== claimId) throw new RemudaError('claim-not-found', `claim ${claimId} was released`);
  const { intent, disk } = host.claim;
  const userData = wanted.userData ?? intent.userData;
  const next = { image: wanted.image, hostName: wanted.hostName ?? intent.hostName, ...(userData === undefined ? {} : { userData }) };
  return parts.keeper.apply(host.id, { type: 'reprovision', claimId, intent: await intentOf(parts, next, disk) }, ifVersion);
};
/** A release that is over is no error: whoever asks twice gets the host as it is. */
const release = async (parts: RackParts, claimId: string, { by, ifVersion }: Asker): Promise<Host> => {
  const { host, released } = await holderOf(parts, claimId);
  return released ? host : parts.keeper.apply(host.id, { type: 'release', claimId, by }, ifVersion);
};

export const localRack = (parts: RackParts): Rack => {
  const { keeper, presence, store } = parts;
  const apply = (idOrName: string, event: Parameters<Keeper['apply']>[1], { ifVersion }: Asker): Promise<Host> =>
    Promise.resolve().then(() => keeper.apply(keeper.find(idOrName).id, event, ifVersion));
  return {
    hosts: () => Promise.resolve(keeper.all().map((host) => viewOf(parts, host))),
    host: (idOrName) => Promise.resolve().then(() => viewOf(parts, keeper.find(idOrName))),
    enrol: (spec, as) => enrol(parts, spec, as),
    accept: (idOrName, spec, as) => apply(idOrName, { type: 'accept', by: as.by, ...bmcOf(spec.bmc) }, as),
    power: (idOrName, wanted, as) => power(parts, idOrName, wanted, as),
    hold: (idOrName, why, as) => apply(idOrName, { type: 'hold', by: as.by, why }, as),
    unhold: (idOrName, as) => apply(idOrName, { type: 'unhold', by: as.by }, as),
    retry: (idOrName, as) => apply(idOrName, { type: 'retry', by: as.by }, as),
    forget: (idOrName, { ifVersion }) => Promise.resolve().then(() => keeper.forget(keeper.find(idOrName), ifVersion)),
    claim: (request, as) => placeClaim(parts, request, as),
    dryRun: (request) => dryRunOf(parts, request),
    reprovision: (claimId, wanted, as) => reprovision(parts, claimId, wanted, as),
    release: (claimId, as) => release(parts, claimId, as),
    timeline: (idOrName, options) => Promise.resolve().then(() => store.timeline(keeper.find(idOrName).id, options)),
    changed: (ms, signal) => presence.changed(ms, signal),
  };
};
