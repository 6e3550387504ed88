/** A rack over a real store with hosts in memory, one image, and BMCs that say what the test wants. */
import assert from 'node:assert/strict';
import type { BmcDriver, BmcIdentity } from '../../src/bmc/driver.ts';
import { Keeper } from '../../src/control/keeper.ts';
import { localRack } from '../../src/control/local-rack.ts';
import { PresenceBook } from '../../src/control/presence.ts';
import type { Rack } from '../../src/control/rack.ts';
import { RemudaError } from '../../src/errors.ts';
import type { Host, HostBmc } from '../../src/host/host.ts';
import type { Inventory } from '../../src/host/inventory.ts';
import type { ImageEntry } from '../../src/image/store.ts';
import { limits } from '../../src/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { parseMac } from '../../src/wire/address.ts';
import type { Mac } from '../../src/wire/address.ts';
import { available } from '../host/make.ts';
import { testSealer } from '../store/sealer.ts';
import { fakeWorld } from '../world/fake.ts';

export const by = { by: 'eve' };
export const macOf = (number: number): Mac => {
  const mac = parseMac(`52:54:00:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`);
  assert.ok(mac !== undefined);
  return mac;
};
const image: ImageEntry = {
  name: 'alpha',
  digest: `sha256:${'a'.repeat(64)}`,
  sizeBytes: 512,
  storedBytes: 1,
  seed: null,
  firmware: ['bios', 'uefi'],
  phoneHome: 'none',
  importedAt: 0,
  signedBy: [],
};
/** An available host: `h7` with the MAC of number 7. */
export const hostNumber = (number: number, part: Partial<Inventory> = {}): Host => {
  const name = `h${String(number).padStart(3, '0')}`;
  assert.ok(available.inventory !== null);
  const bmc = {
    protocol: 'redfish' as const,
    url: `https://10.0.0.${number % 250}:${1000 + number}`,
    username: 'root',
    password: 'secret',
  };
  return { ...available, id: name, name, version: 0, macs: [macOf(number)], bmc, inventory: { ...available.inventory, ...part } };
};

export interface Bench {
  readonly rack: Rack;
  readonly keeper: Keeper;
  readonly store: Store;
  /** What the BMC at this URL answers; without an entry it is unreachable. */
  readonly bmcs: Map<string, BmcIdentity>;
  /** Every password that was sent, with where. */
  readonly sent: { readonly url: string; readonly password: string }[];
}
export const benchWith = async (hosts: readonly Host[]): Promise<Bench> => {
  const world = fakeWorld();
  const store = await openSqliteStore(':memory:', limits, { sealer: testSealer });
  const presence = new PresenceBook(world.clock);
  const keeper = new Keeper({ store, clock: world.clock, log: world.log, presence });
  for (const host of hosts) await keeper.create(host, 'made by a test');
  const bmcs = new Map<string, BmcIdentity>();
  const sent: Bench['sent'] = [];
  const driverFor = ({ url, password }: HostBmc): BmcDriver => {
    const identity = (): Promise<BmcIdentity> => {
      sent.push({ url, password });
      const said = bmcs.get(url);
      return said === undefined ? Promise.reject(new RemudaError('bmc-unreachable', `${url} does not answer`)) : Promise.resolve(said);
    };
    const power = async (): Promise<BmcIdentity['power']> => (await identity()).power;
    return {
      identify: identity,
      readPower: power,
      setPower: async (asked) => ({ asked, observed: await power(), settled: (await power()) === asked }),
      bootOnceFromNetwork: async (_firmware) => ({ asked: 'network', observed: (await identity()) && 'network', settled: true }),
      command: async (asked) => ({ asked, power: await power() }),
      setBoot: async ({ device }) => ({ asked: device, observed: (await identity()) && device, settled: true }),
      locate: async (seconds) => {
        await identity();
        const asked = seconds === 'off' ? 'off' : 'on';
        return { asked, observed: asked, settled: true };
      },
      close: () => Promise.resolve(),
    };
  };
  let ids = 0;
  const images = {
    find: (name: string) =>
      name === image.name ? Promise.resolve(image) : Promise.reject(new RemudaError('image-not-found', `there is no image ${name}`)),
    manifest: () => Promise.reject(new RemudaError('image-not-found', 'nothing is installed here')),
  };
  const rack = localRack({ world, keeper, presence, store, images, limits, driverFor, newId: (prefix) => `${prefix}${++ids}` });
  return { rack, keeper, store, bmcs, sent };
};
export const refused =
  (code: string, words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof RemudaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
