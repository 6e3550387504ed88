/** The Redfish driver: the verbs of driver.ts by following links from the service root (DSP0266, DSP0268). */
import type { Mac } from '../../wire/address.ts';
import type { BmcAddress } from '../../wire/words.ts';
import type { BmcDriver, BmcIdentity } from '../driver.ts';
import { turns } from '../turns.ts';
import { setBoot } from './boot.ts';
import { Connection } from './connection.ts';
import type { BmcLimits, BmcWorld } from './connection.ts';
import { locate } from './locate.ts';
import { ethernetInterface, identityOf, macOf, manager, powerOf } from './messages.ts';
import type { System } from './messages.ts';
import { powerCommand, setPower } from './power.ts';
import { hostOf, membersOf, optional } from './system.ts';
import type { Signal } from './system.ts';

/** The driver of one BMC. Nothing is sent before the first verb. Hold one driver per BMC: it serves its calls one after another. */
export const redfishDriver = (world: BmcWorld, address: BmcAddress, limits: BmcLimits): BmcDriver => {
  const connection = new Connection(world, address, limits);
  const turn = turns();
  const host = hostOf(connection, address);
  return {
    identify: (signal) => turn(async () => identify(connection, (await host(signal)).value, signal), signal),
    readPower: (signal) => turn(async () => powerOf((await host(signal)).value.PowerState), signal),
    setPower: (wanted, signal) => turn(() => setPower({ connection, host, signal }, wanted), signal),
    bootOnceFromNetwork: (firmware, signal) =>
      turn(() => setBoot({ connection, host, signal }, { device: 'network', persistent: false, firmware }), signal),
    command: (action, signal) => turn(() => powerCommand({ connection, host, signal }, action), signal),
    setBoot: (wish, signal) => turn(() => setBoot({ connection, host, signal }, wish), signal),
    locate: (seconds, signal) => turn(() => locate({ connection, host, signal }, seconds), signal),
    close: () => turn(() => connection.close()),
  };
};

const identify = async (connection: Connection, found: System, signal: Signal): Promise<BmcIdentity> => {
  const macs: Mac[] = [];
  const ports = found.EthernetInterfaces?.['@odata.id'];
  const links = ports === undefined ? [] : ((await optional(() => membersOf(connection, ports, signal))) ?? []);
  for (const link of links) {
    const port = await optional(() => connection.get(link, ethernetInterface, signal));
    const mac = port === undefined ? undefined : macOf(port.value);
    if (mac !== undefined) macs.push(mac);
  }
  return identityOf(found, macs, await optional(() => bmcVersion(connection, found, signal)));
};

/** ManagedBy is missing on some BMCs (Huawei 1288H); then the first manager of the service is taken. */
const bmcVersion = async (connection: Connection, found: System, signal: Signal): Promise<string | undefined> => {
  const managedBy = found.Links?.ManagedBy?.[0]?.['@odata.id'];
  const managers = managedBy === undefined ? (await connection.root(signal)).Managers?.['@odata.id'] : undefined;
  const link = managedBy ?? (managers === undefined ? undefined : (await membersOf(connection, managers, signal))[0]);
  return link === undefined ? undefined : (await connection.get(link, manager, signal)).value.FirmwareVersion;
};
