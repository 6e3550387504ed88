/** The IPMI driver against the virtual BMC: the suite of all drivers, and what is IPMI's own. */
import assert from 'node:assert/strict';
import type { IpmiQuirks } from '../../../src/lab/model/ipmi-quirks.ts';
import { bmcCompliance } from '../../compliance/bmc.ts';
import type { SharedQuirks } from '../../compliance/bmc.ts';
import { bmcUser } from '../bench.ts';
import { ipmiBench } from './bench.ts';

/** More commands than any verb repeats. */
const always = 1_000_000;
/** The names that all protocols share, for those of this one. */
const shared = (live: IpmiQuirks): SharedQuirks => {
  const target = live as IpmiQuirks & SharedQuirks;
  Object.defineProperties(target, {
    unavailable: {
      get: () => live.busy > 0,
      set: (on: boolean) => {
        live.busy = on ? always : 0;
      },
    },
    halfAnswers: {
      get: () => live.halfReplies,
      set: (on: boolean) => {
        live.halfReplies = on;
      },
    },
  });
  return target;
};
bmcCompliance('ipmi', async (quirks = {}) => {
  const { driver, machine, quirks: live, bmc, log } = await ipmiBench();
  const logged = (): string => JSON.stringify(log);
  const its = Object.assign(shared(live), quirks);
  const openSessions = async (): Promise<number> => bmc.openSessions();
  const tells = { macs: false, modes: false };
  return { driver, machine, tells, quirks: its, commands: bmc.commands, openSessions, logged, password: bmcUser.password };
});
assert.ok(bmcUser.password.length <= 20);
