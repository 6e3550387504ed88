/** Power by Redfish: ComputerSystem.Reset with a type that the BMC permits, and one reading afterwards (DSP0268 "ComputerSystem"). */
import { RemudaError } from '../../errors.ts';
import type { Commanded, Outcome, Power, PowerCommand } from '../driver.ts';
import type { Verb } from './system.ts';
import { afterwards, demand, optional } from './system.ts';
import { actionInfo, powerOf } from './messages.ts';
import type { System } from './messages.ts';

/** DSP0268 ResetType, in order of preference. For on and off never a restart or a power cycle: the plan knows these two only. */
const resetTypes = {
  on: ['On', 'ForceOn'],
  off: ['ForceOff'],
  // The button asks the system too, and is all that some BMCs have.
  soft: ['GracefulShutdown', 'PushPowerButton'],
  cycle: ['PowerCycle'],
  reset: ['ForceRestart'],
} as const satisfies Record<Power | PowerCommand, readonly string[]>;

/** Sends the first type that is permitted, and returns it. */
const reset = async ({ connection, signal }: Verb, before: System, wanted: Power | PowerCommand): Promise<string> => {
  const action = before.Actions?.['#ComputerSystem.Reset'];
  if (action?.target === undefined) throw new RemudaError('bmc-refused', 'the BMC offers no way to change the power of this host');
  const permitted =
    action['ResetType@Redfish.AllowableValues'] ?? (await permittedByInfo({ connection, signal }, action['@Redfish.ActionInfo']));
  const type = resetTypes[wanted].find((name) => permitted === undefined || permitted.includes(name));
  if (type === undefined)
    throw new RemudaError('bmc-refused', `the BMC permits no ${resetTypes[wanted][0]}, only: ${permitted?.join(', ') ?? ''}`, {
      values: { permitted },
    });
  await demand(connection, { method: 'POST', link: action.target, body: { ResetType: type }, signal });
  return type;
};

const permittedByInfo = async (
  { connection, signal }: Pick<Verb, 'connection' | 'signal'>,
  link: string | undefined,
): Promise<readonly string[] | undefined> => {
  if (link === undefined) return undefined;
  const info = await optional(() => connection.get(link, actionInfo, signal));
  return info?.value.Parameters?.find((parameter) => parameter.Name === 'ResetType')?.AllowableValues;
};

const powerOutcome = (wanted: Power, type: string, state: string | undefined): Outcome<Power> => {
  const observed = powerOf(state);
  const settled = observed === wanted;
  return { asked: wanted, observed, settled, ...(settled ? {} : { note: `the BMC took ${type} and shows ${state ?? 'no power state'}` }) };
};

/** The verb of driver.ts. */
export const setPower = async (verb: Verb, wanted: Power): Promise<Outcome<Power>> => {
  const { host, signal } = verb;
  const before = (await host(signal)).value;
  if (powerOf(before.PowerState) === wanted) return { asked: wanted, observed: wanted, settled: true };
  if (wanted === 'on' && before.PowerState === 'PoweringOn')
    return { asked: wanted, observed: 'unknown', settled: false, note: 'the host is powering on' };
  const type = await reset(verb, before, wanted);
  return afterwards(signal, async () => powerOutcome(wanted, type, (await host(signal)).value.PowerState), wanted);
};

/** The verb of driver.ts. */
export const powerCommand = async (verb: Verb, action: PowerCommand): Promise<Commanded> => {
  const { host, signal } = verb;
  const before = (await host(signal)).value;
  if (powerOf(before.PowerState) === 'off') {
    if (action === 'soft') return { asked: action, power: 'off', note: 'the host is off already; nothing was sent' };
    throw new RemudaError('state-conflict', `the host is off: there is nothing to ${action}; ask for power on instead`);
  }
  const type = await reset(verb, before, action);
  const read = async (): Promise<Outcome<Power | 'any'>> => {
    const observed = powerOf((await host(signal)).value.PowerState);
    return { asked: 'any', observed, settled: true };
  };
  const { observed, note } = await afterwards(signal, read, 'any' as const);
  const power = observed === 'on' || observed === 'off' ? observed : 'unknown';
  return { asked: action, power, note: note ?? `the BMC took ${type}` };
};
