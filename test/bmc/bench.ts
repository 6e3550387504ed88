/** A bench: our driver, a virtual BMC, the machine behind it, and the network between them, all in memory. */
import { redfishDriver } from '../../src/bmc/redfish/driver.ts';
import type { BmcDriver } from '../../src/bmc/driver.ts';
import type { BmcAddress } from '../../src/wire/words.ts';
import type { Machine } from '../../src/lab/model/machine.ts';
import type { BmcQuirks } from '../../src/lab/model/quirks.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import type { RedfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { limits } from '../../src/limits.ts';
import type { Mac, Uuid } from '../../src/wire/address.ts';
import type { Clock, Http, HttpCall, HttpListen, Log, LogFields, Random } from '../../src/world/world.ts';
import { ipv4, MemoryHttp } from '../world/memory-http.ts';
import { idleClock } from './idle-clock.ts';

export interface TestMachine extends Machine {
  /** What each start of the machine was told to boot from; undefined is the permanent order. */
  readonly boots: ('network' | 'disk' | undefined)[];
  presses: number;
}

export const testMachine = (firmware: 'bios' | 'uefi' = 'uefi'): TestMachine => {
  let power: 'on' | 'off' = 'off';
  const machine: TestMachine = {
    uuid: '3f0a1b2c-0000-4000-8000-5254006b0001' as Uuid,
    serial: 'LAB0001',
    macs: ['52:54:00:6b:00:01', '52:54:00:6b:00:02'] as Mac[],
    firmware,
    memoryMiB: 2048,
    cpus: 2,
    boots: [],
    presses: 0,
    power: () => power,
    turnOn: async (override) => {
      power = 'on';
      machine.boots.push(override);
    },
    turnOff: async () => {
      power = 'off';
    },
    pressButton: async () => {
      machine.presses += 1;
    },
  };
  return machine;
};

/** Every call differs from the last, and every run is the same. */
export const countingRandom = (): Random => {
  let count = 0;
  return { next: () => 0.5, bytes: (length) => Uint8Array.from({ length }, () => (count = (count * 5 + 7) % 256)) };
};

export interface LogLine {
  readonly level: keyof Omit<Log, 'with'>;
  readonly message: string;
  readonly fields: LogFields;
}
/** A log that keeps its lines. */
export const memoryLog = (lines: LogLine[], outer: LogFields = {}): Log => {
  const line =
    (level: LogLine['level']) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields: { ...outer, ...fields } });
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (fields) => memoryLog(lines, { ...outer, ...fields }),
  };
};

export const bmcUser = { username: 'admin', password: 'correct horse' } as const;

export interface Bench {
  readonly driver: BmcDriver;
  readonly bmc: RedfishBmc;
  readonly quirks: BmcQuirks;
  readonly machine: TestMachine;
  readonly clock: Clock;
  readonly log: LogLine[];
  /** Every request the driver sent. */
  readonly calls: HttpCall[];
  /** The network, for a second client. */
  readonly http: Http;
  readonly url: string;
  /** Another driver for the same BMC. */
  readonly driverFor: (address: Partial<BmcAddress>) => BmcDriver;
  /** How many sessions the BMC holds open. */
  readonly openSessions: () => Promise<number>;
}

export interface BenchOptions {
  readonly quirks?: Partial<BmcQuirks>;
  readonly firmware?: 'bios' | 'uefi';
  /** Routes instead of those of the virtual BMC. */
  readonly routes?: HttpListen['routes'];
}

export const bench = async (options: BenchOptions = {}): Promise<Bench> => {
  const clock = idleClock();
  const network = new MemoryHttp({ clock });
  const machine = testMachine(options.firmware);
  const bmc = redfishBmc({ name: 'rack1-u1', machine, ...bmcUser, random: countingRandom(), clock, quirks: options.quirks ?? {} });
  const itsHttp = network.at(ipv4('10.0.0.9'));
  const identity = await itsHttp.selfSigned('bmc');
  await itsHttp.listen({ at: { address: ipv4('10.0.0.9'), port: 443 }, routes: options.routes ?? bmc.routes, identity });
  const http = network.at(ipv4('10.0.0.1'));
  const calls: HttpCall[] = [];
  const log: LogLine[] = [];
  const counted: Http = {
    ...http,
    call: (call) => {
      calls.push(call);
      return http.call(call);
    },
  };
  const url = 'https://10.0.0.9';
  const pinned: BmcAddress = { protocol: 'redfish', url, ...bmcUser, fingerprint: identity.fingerprint };
  const driverFor = (address: Partial<BmcAddress>): BmcDriver =>
    redfishDriver({ http: counted, clock, log: memoryLog(log) }, { ...pinned, ...address }, limits);
  const authorization = `Basic ${Buffer.from(`${bmcUser.username}:${bmcUser.password}`).toString('base64')}`;
  const openSessions = async (): Promise<number> => {
    const answer = await http.call({
      method: 'GET',
      url: `${url}/redfish/v1/SessionService/Sessions`,
      headers: { authorization },
      fingerprint: identity.fingerprint,
      timeoutMs: 1000,
      replyBytesMax: 100_000,
    });
    return (JSON.parse(new TextDecoder().decode(answer.body)) as { readonly Members: readonly unknown[] }).Members.length;
  };
  return { driver: driverFor({}), bmc, quirks: bmc.quirks, machine, clock, log, calls, http, url, driverFor, openSessions };
};
