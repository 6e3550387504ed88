/** The hands: observe one host, ask the plan, take one step, record what came of it. */
import type { BmcDriver, Outcome } from '../bmc/driver.ts';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { HostEvent } from '../host/events.ts';
import { openBoot } from '../host/host.ts';
import type { Host, HostBmc, Power } from '../host/host.ts';
import { plan } from '../host/plan.ts';
import type { Seen, Step } from '../host/plan.ts';
import { stepText } from '../host/step-text.ts';
import type { World } from '../world/world.ts';
import { recordEvidence } from './identifying.ts';
import type { Keeper } from './keeper.ts';
import type { Activation } from './loop.ts';
import type { PresenceBook } from './presence.ts';

export interface ReconcileParts {
  readonly world: World;
  readonly keeper: Keeper;
  readonly presence: PresenceBook;
  readonly limits: Limits;
  readonly driverFor: (bmc: HostBmc) => BmcDriver;
}
interface Context extends ReconcileParts {
  readonly host: Host;
  readonly driver: BmcDriver | undefined;
}

const done = (step: string): Activation => ({ result: 'done', step });

/** A step that did not succeed: counted, said once, and tried again after a pause that doubles. */
const missed = async (context: Context, step: string, code: Code, reason: string): Promise<Activation> => {
  const { host, keeper, limits, world } = context;
  const tries = host.attempt?.step === step ? host.attempt.tries : 0;
  const pause = Math.min(limits.retryFirstMs * 2 ** Math.min(tries, 20), limits.retryMostMs);
  const notBefore = world.clock.now() + pause;
  await keeper.apply(host.id, { type: 'step-missed', step, code, reason, notBefore });
  return { result: 'retryAt', at: notBefore, why: reason };
};

/** States in which nothing is planned are looked at as well, but an unreachable BMC is no failure there. */
const isIdle = (host: Host): boolean =>
  host.held !== null || host.failed !== null || ['discovered', 'available', 'provisioned'].includes(host.state);

/** Released, and not yet seen off since. */
const isOwed = ({ release }: Host): boolean => release !== null && release.offAt === undefined;
/** A reading that began under this release, if there is one: what was read before it says nothing of it. */
const powerSeen = ({ release }: Host, power: Power): Extract<HostEvent, { type: 'power-seen' }> => ({
  type: 'power-seen',
  power,
  ...(release === null ? {} : { release: release.claimId }),
});

/** Reads the power once. An error is a missed step only where the plan needs the answer; the plan then waits or gives up. */
const readPower = async (context: Context): Promise<Power> => {
  const { host, driver, keeper, world } = context;
  if (driver === undefined || host.state === 'discovered') return 'unknown';
  if (host.attempt?.step === 'bmc' && world.clock.now() < host.attempt.notBefore) return 'unknown';
  try {
    const power = await driver.readPower(world.signal);
    if (power !== host.facts.power || (power === 'off' && isOwed(host))) await keeper.apply(host.id, powerSeen(host, power));
    if (host.attempt?.step === 'bmc') await keeper.apply(host.id, { type: 'step-done', step: 'bmc' });
    return power;
  } catch (error) {
    if (!(error instanceof RemudaError) || !error.code.startsWith('bmc-')) throw error;
    if (!isIdle(host)) await missed(context, 'bmc', error.code, error.message);
    else if (host.facts.power !== 'unknown') await keeper.apply(host.id, { type: 'power-seen', power: 'unknown' });
    return 'unknown';
  }
};

/** A command to the BMC with one reading afterwards. Not settled is a missed step; the plan retries. */
const command = async <T extends string>(
  context: Context,
  step: string,
  act: (driver: BmcDriver) => Promise<Outcome<T>>,
  settled: (outcome: Outcome<T>) => Promise<unknown>,
): Promise<Activation> => {
  const { driver } = context;
  if (driver === undefined) throw new RemudaError('internal', `step ${step} was planned for a host without a BMC`);
  try {
    const outcome = await act(driver);
    if (!outcome.settled)
      return await missed(
        context,
        step,
        'bmc-ignored',
        `the BMC accepted ${outcome.asked}, but shows ${outcome.observed}${outcome.note === undefined ? '' : `: ${outcome.note}`}`,
      );
    await settled(outcome);
    return done(step);
  } catch (error) {
    if (!(error instanceof RemudaError)) throw error;
    if (!error.code.startsWith('bmc-')) throw error;
    return missed(context, step, codeOf(error), reasonOf(error));
  }
};

const identify = async (context: Context): Promise<Activation> => {
  const { host, driver, keeper, world } = context;
  if (driver === undefined) throw new RemudaError('internal', 'identify was planned for a host without a BMC');
  try {
    const { power, bmcVersion: _version, ...identity } = await driver.identify(world.signal);
    const stranger = identity.macs.map((mac) => ({ mac, owner: keeper.byMac(mac) })).find(({ owner }) => isOther(owner, host));
    // Two hosts that name one BMC, or one machine twice: a step of one would switch the other. Nothing is done before somebody has looked.
    if (stranger !== undefined) {
      const reason = `its BMC names the MAC ${stranger.mac}, which is one of host ${stranger.owner?.name ?? ''}: correct the address of the BMC, or remove the MAC there, then retry`;
      await keeper.apply(host.id, { type: 'step-failed', step: 'identify', code: 'identity-conflict', reason });
      return { result: 'failed', reason };
    }
    await recordEvidence(keeper, host.id, identity, (taken) => ({ type: 'identified', ...identity, taken }));
    if (power !== host.facts.power) await keeper.apply(host.id, { type: 'power-seen', power });
    return done('identify');
  } catch (error) {
    if (!(error instanceof RemudaError)) throw error;
    return missed(context, 'identify', codeOf(error), reasonOf(error));
  }
};

const isOther = (owner: Host | undefined, host: Host): boolean =>
  owner !== undefined && owner.id !== host.id && owner.state !== 'discovered';

/** A MAC was proposed: the host's own BMC knows. A running host is not failed because its BMC is silent. */
const confirm = async ({ host, driver, keeper, world }: Context): Promise<Activation> => {
  if (driver === undefined) throw new RemudaError('internal', 'confirm was planned for a host without a BMC');
  try {
    const { power: _power, bmcVersion: _version, ...identity } = await driver.identify(world.signal);
    await recordEvidence(keeper, host.id, identity, (taken) => ({ type: 'identified', ...identity, taken }));
  } catch (error) {
    if (!(error instanceof RemudaError) || !error.code.startsWith('bmc-')) throw error;
    await keeper.apply(host.id, { type: 'mac-asked', code: error.code, reason: error.message });
  }
  return done('confirm');
};

type Hands = { readonly [K in Step['do']]: (context: Context, step: Extract<Step, { do: K }>) => Promise<Activation> };
/** One pair of hands for each step; a missing one is a type error. */
const hands: Hands = {
  wait: (_context, step) => Promise.resolve({ result: 'wait', until: step.until, why: step.why }),
  identify,
  confirm,
  'power-off': (context) =>
    command(
      context,
      'power-off',
      (driver) => driver.setPower('off', context.world.signal),
      () => context.keeper.apply(context.host.id, powerSeen(context.host, 'off')),
    ),
  'open-boot': async ({ host, keeper }) => {
    await keeper.apply(host.id, { type: 'boot-opened' });
    return done('open-boot');
  },
  'boot-once': (context) =>
    command(
      context,
      'boot-once',
      (driver) => driver.bootOnceFromNetwork(context.host.firmware ?? undefined, context.world.signal),
      (outcome) =>
        context.keeper.apply(context.host.id, { type: 'boot-armed', note: outcome.note === undefined ? '' : ` (${outcome.note})` }),
    ),
  'power-on': (context) =>
    command(
      context,
      'power-on',
      (driver) => driver.setPower('on', context.world.signal),
      () =>
        context.keeper.apply(
          context.host.id,
          openBoot(context.host)?.armedAt === undefined ? { type: 'power-seen', power: 'on' } : { type: 'boot-powered' },
        ),
    ),
  'record-powered': async ({ host, keeper }) => {
    await keeper.apply(host.id, { type: 'boot-powered' });
    return done('record-powered');
  },
  'fail-boot': async ({ host, keeper, limits }, step) => {
    await keeper.apply(host.id, { type: 'boot-failed', code: step.code, reason: step.reason, triesMax: limits.stepTries });
    return done('fail-boot');
  },
  'time-out': async ({ host, keeper }, step) => {
    await keeper.apply(host.id, { type: 'timed-out', step: step.step, reason: step.reason });
    return { result: 'failed', reason: step.reason };
  },
  fail: async ({ host, keeper }, step) => {
    await keeper.apply(host.id, { type: 'step-failed', step: step.step, code: step.code, reason: step.reason });
    return { result: 'failed', reason: step.reason };
  },
};

/** One activation for one host: it reads everything anew and takes no input but the host's ID. */
export const reconcile = async (parts: ReconcileParts, hostId: string): Promise<Activation> => {
  const before = parts.keeper.get(hostId);
  if (before === undefined) return { result: 'failed', reason: 'the host was forgotten' };
  try {
    return await takeStep(parts, before);
  } catch (error) {
    // A BMC takes its time: meanwhile the host was changed by somebody, and the rulebook refuses what came of the step. It is planned anew.
    const isOvertaken = parts.keeper.get(hostId)?.version !== before.version;
    if (!isOvertaken || !(error instanceof RemudaError) || error.status >= 500) throw error;
    return done('overtaken');
  }
};

const takeStep = async (parts: ReconcileParts, before: Host): Promise<Activation> => {
  const { keeper, presence, limits, world } = parts;
  const hostId = before.id;
  const driver = before.bmc === null ? undefined : parts.driverFor(before.bmc);
  const power = before.held === null && before.failed === null ? await readPower({ ...parts, host: before, driver }) : before.facts.power;
  const host = keeper.get(hostId) ?? before;
  const { agentAt, packet } = presence.of(hostId);
  const seen: Seen = { power: driver === undefined ? undefined : power, agentAt, ...(packet === undefined ? {} : { packet }) };
  const next = plan(host, seen, world.clock.now(), limits);
  presence.note(hostId, { doing: { version: host.version, text: stepText(next) } });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table is keyed by the step's own name, which TypeScript cannot follow through the index
  return (hands[next.do] as (context: Context, next: Step) => Promise<Activation>)({ ...parts, host, driver }, next);
};
