/** The IPMI 2.0 driver: the verbs of driver.ts over RMCP+. */
import type { BmcAddress } from '../../wire/words.ts';
import type { BmcDriver } from '../driver.ts';
import { turns } from '../turns.ts';
import { setBoot } from './boot.ts';
import { locate, powerCommand, readPower, setPower } from './chassis.ts';
import { Connection } from './connection.ts';
import { identify } from './identity.ts';
import type { IpmiLimits, IpmiWorld } from './line.ts';

/** The driver of one BMC. Nothing is sent before the first verb. Hold one driver per BMC: it serves its calls one after another. */
export const ipmiDriver = (world: IpmiWorld, address: BmcAddress, limits: IpmiLimits): BmcDriver => {
  const connection = new Connection(world, address, limits);
  const turn = turns();
  return {
    identify: (signal) => turn(() => identify(connection, limits.ipmiFruBytes, signal), signal),
    readPower: (signal) => turn(() => readPower(connection, signal), signal),
    setPower: (wanted, signal) => turn(() => setPower(connection, wanted, signal), signal),
    bootOnceFromNetwork: (firmware, signal) =>
      turn(() => setBoot(connection, { device: 'network', persistent: false, firmware }, signal), signal),
    command: (action, signal) => turn(() => powerCommand(connection, action, signal), signal),
    setBoot: (wish, signal) => turn(() => setBoot(connection, wish, signal), signal),
    locate: (seconds, signal) => turn(() => locate(connection, seconds, signal), signal),
    close: () => turn(() => connection.close()),
  };
};
