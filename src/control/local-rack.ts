/** The rack in this process: what the API may ask becomes events of the rulebook. */
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { newHost } from '../host/host.ts';
import type { Host, HostBmc } from '../host/host.ts';
import type { BmcDriver } from '../bmc/driver.ts';
import type { ImageStore } from '../image/store.ts';
import type { Store } from '../store/store.ts';
import { parseMac } from '../wire/address.ts';
import type { Mac } from '../wire/address.ts';
import type { World } from '../world/world.ts';
import { dryRunOf, intentOf, placeClaim } from './claiming.ts';
import type { Keeper } from './keeper.ts';
import type { PresenceBook } from './presence.ts';
import type { HostView, Rack } from './rack.ts';

export interface RackParts {
  readonly world: World;
  readonly keeper: Keeper;
  readonly presence: PresenceBook;
  readonly store: Store;
  readonly images: Pick<ImageStore, 'find' | 'manifest'>;
  readonly limits: Limits;
  readonly driverFor: (bmc: HostBmc) => BmcDriver;
  readonly newId: (prefix: string) => string;
}

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

export const localRack = (parts: RackParts): Rack => {
  const { world, keeper, presence, store, driverFor, newId } = parts;
  const view = (host: Host): HostView => {
    const { doing, progress } = presence.of(host.id);
    const busy = progress !== undefined && host.job?.id === progress.job;
    return {
      host,
      doing: host.held !== null ? `held by ${host.held.by}: ${host.held.why}` : (doing ?? host.state),
      ...(busy ? { progress } : {}),
    };
  };
  const apply = (idOrName: string, event: Parameters<Keeper['apply']>[1]): Promise<Host> => keeper.apply(keeper.find(idOrName).id, event);
  const holderOf = async (claimId: string): Promise<Host> => {
    const row = await store.claim(claimId);
    const host = row === undefined ? undefined : keeper.get(row.hostId);
    if (row === undefined || host === undefined)
      throw new RemudaError('claim-not-found', `there is no claim ${claimId}; \`remuda claim list\` shows all`);
    return host;
  };
  return {
    hosts: () => Promise.resolve(keeper.all().map(view)),
    host: (idOrName) => Promise.resolve().then(() => view(keeper.find(idOrName))),
    enrol: (spec, by) => {
      const macs = macsOf(spec.macs);
      if (macs.length === 0 && spec.bmc === undefined)
        return Promise.reject(
          new RemudaError('bad-request', `${spec.name}: name a MAC address or a BMC; without either nobody can recognise the server`),
        );
      const host = newHost(
        {
          id: newId('h'),
          name: spec.name,
          state: 'enrolled',
          macs,
          ...(spec.firmware === undefined ? {} : { firmware: spec.firmware }),
          ...bmcOf(spec.bmc),
        },
        world.clock.now(),
      );
      return keeper.create(host, `enrolled by ${by}`);
    },
    accept: (idOrName, spec, by) => apply(idOrName, { type: 'accept', by, ...bmcOf(spec.bmc) }),
    power: async (idOrName, wanted, by) => {
      const host = keeper.find(idOrName);
      if (host.bmc === null) throw new RemudaError('state-conflict', `host ${host.name} has no BMC: press its power button`);
      const { settled, observed, note } = await driverFor(host.bmc).setPower(wanted, world.signal);
      await keeper.apply(host.id, {
        type: 'power-commanded',
        by,
        wanted,
        note: settled ? `it is ${observed}` : `the BMC shows ${observed}`,
      });
      if (observed !== 'unknown') await keeper.apply(host.id, { type: 'power-seen', power: observed });
      return { observed, settled, ...(note === undefined ? {} : { note }) };
    },
    hold: (idOrName, why, by) => apply(idOrName, { type: 'hold', by, why }),
    unhold: (idOrName, by) => apply(idOrName, { type: 'unhold', by }),
    retry: (idOrName, by) => apply(idOrName, { type: 'retry', by }),
    forget: (idOrName) => Promise.resolve().then(() => keeper.forget(keeper.find(idOrName))),
    claim: (request, by) => placeClaim(parts, request, by),
    dryRun: (request) => dryRunOf(parts, request),
    reprovision: async (claimId, wanted, _by) => {
      const host = await holderOf(claimId);
      if (host.claim === null) throw new RemudaError('claim-not-found', `claim ${claimId} was released`);
      const userData = wanted.userData ?? host.claim.intent.userData;
      const intent = await intentOf(
        parts,
        { image: wanted.image, hostName: wanted.hostName ?? host.claim.intent.hostName, ...(userData === undefined ? {} : { userData }) },
        host.claim.disk,
      );
      return keeper.apply(host.id, { type: 'reprovision', claimId, intent });
    },
    release: async (claimId, by) => {
      const row = await store.claim(claimId);
      const host = await holderOf(claimId);
      // A release that is over is no error: whoever asks twice gets the host as it is.
      if (row?.releasedAt !== null && host.release?.claimId !== claimId) return host;
      return keeper.apply(host.id, { type: 'release', claimId, by });
    },
    timeline: async (idOrName, options) => store.timeline(keeper.find(idOrName).id, options),
    changed: (ms, signal) => presence.changed(ms, signal),
  };
};
