/** The driver that speaks a BMC's protocol. */
import type { BmcAddress, BmcProtocol } from '../wire/words.ts';
import type { BmcDriver } from './driver.ts';
import { ipmiDriver } from './ipmi/driver.ts';
import type { IpmiLimits, IpmiWorld } from './ipmi/line.ts';
import type { BmcLimits, BmcWorld } from './redfish/connection.ts';
import { redfishDriver } from './redfish/driver.ts';

export type DriverWorld = BmcWorld & IpmiWorld;
export type DriverLimits = BmcLimits & IpmiLimits;

const makers = {
  redfish: redfishDriver,
  ipmi: ipmiDriver,
} as const satisfies Record<BmcProtocol, (world: DriverWorld, address: BmcAddress, limits: DriverLimits) => BmcDriver>;

/** Nothing is sent before the first verb. Hold one driver per BMC: it serves its calls one after another. */
export const driverFor = (world: DriverWorld, address: BmcAddress, limits: DriverLimits): BmcDriver =>
  makers[address.protocol](world, address, limits);
