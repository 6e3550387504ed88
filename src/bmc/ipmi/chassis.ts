/** Power and the identify light by IPMI: the chassis commands (§28), each with one reading afterwards. */
import { RemudaError } from '../../errors.ts';
import type { Commanded, Outcome, Power, PowerCommand } from '../driver.ts';
import { ChassisAction, chassisControl, chassisIdentify, getChassisStatus } from './commands.ts';
import type { Connection } from './connection.ts';

type Signal = AbortSignal | undefined;

export const readPower = async (connection: Connection, signal: Signal): Promise<Power> =>
  (await connection.ask(getChassisStatus, {}, { signal })).power.on ? 'on' : 'off';

/** The reading after a command that was taken: where it fails, the command still stands. */
const afterwards = async <T>(signal: Signal, read: () => Promise<T>): Promise<T | { readonly failed: string }> => {
  try {
    return await read();
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof RemudaError)) throw error;
    return { failed: `the BMC took the command, then: ${error.message}` };
  }
};

/** The verb of driver.ts. Read first: some BMCs refuse to turn off what is off (Ironic bug 1718794). Twice the same is the same: sent again. */
export const setPower = async (connection: Connection, wanted: Power, signal: Signal): Promise<Outcome<Power>> => {
  if ((await readPower(connection, signal)) === wanted) return { asked: wanted, observed: wanted, settled: true };
  await connection.ask(chassisControl, { action: { number: ChassisAction[wanted] } }, { signal });
  const observed = await afterwards(signal, () => readPower(connection, signal));
  if (typeof observed !== 'string') return { asked: wanted, observed: 'unknown', settled: false, note: observed.failed };
  const settled = observed === wanted;
  return { asked: wanted, observed, settled, ...(settled ? {} : { note: `the BMC took power ${wanted} and shows ${observed}` }) };
};

/** The verb of driver.ts. */
export const powerCommand = async (connection: Connection, action: PowerCommand, signal: Signal): Promise<Commanded> => {
  if ((await readPower(connection, signal)) === 'off') {
    if (action === 'soft') return { asked: action, power: 'off', note: 'the host is off already; nothing was sent' };
    throw new RemudaError('state-conflict', `the host is off: there is nothing to ${action}; ask for power on instead`);
  }
  await connection.ask(chassisControl, { action: { number: ChassisAction[action] } }, { signal, once: true });
  const power = await afterwards(signal, () => readPower(connection, signal));
  return typeof power === 'string'
    ? { asked: action, power, note: `the BMC took ${action}` }
    : { asked: action, power: 'unknown', note: power.failed };
};

const secondsMax = 255;
/** The verb of driver.ts. */
export const locate = async (connection: Connection, seconds: number | 'off', signal: Signal): Promise<Outcome<'on' | 'off'>> => {
  const wanted = seconds === 'off' ? 'off' : 'on';
  const bounded = seconds === 'off' ? 0 : Math.min(secondsMax, Math.max(1, Math.round(seconds)));
  await connection.ask(chassisIdentify, { seconds: bounded, force: undefined }, { signal });
  const misc = await afterwards(signal, async () => (await connection.ask(getChassisStatus, {}, { signal })).misc);
  if ('failed' in misc) return { asked: wanted, observed: 'unknown', settled: false, note: misc.failed };
  if (!misc.identifySupported)
    return { asked: wanted, observed: 'unknown', settled: false, note: 'the BMC took it, and does not tell how its light is' };
  const observed = misc.identify === 0 ? 'off' : 'on';
  const settled = observed === wanted;
  return { asked: wanted, observed, settled, ...(settled ? {} : { note: `the BMC took it and shows its light ${observed}` }) };
};
