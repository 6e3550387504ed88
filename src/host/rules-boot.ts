/** What the control loop did and saw: the BMC's answers, the steps of a boot, the tries that came to nothing. */
import { change, closed, refuse, same, withFacts } from './events.ts';
import type { Rules } from './events.ts';
import { openBoot } from './host.ts';
import type { Boot, HostState } from './host.ts';

export const bootRules: Rules<
  | 'power-seen'
  | 'power-commanded'
  | 'located'
  | 'boot-opened'
  | 'boot-armed'
  | 'boot-powered'
  | 'boot-failed'
  | 'step-missed'
  | 'step-done'
  | 'step-failed'
  | 'timed-out'
> = {
  'power-seen': (host, event, now) => {
    const { release } = host;
    const isOff = event.power === 'off' && release !== null && release.offAt === undefined && event.release === release.claimId;
    const off = isOff ? { release: { ...release, offAt: now } } : {};
    if (host.facts.power === event.power)
      return isOff ? change(host, off, now, { text: `seen off after the release of claim ${release.claimId}` }) : same(host);
    const part = { attempt: null, ...off, ...withFacts(host, { power: event.power, powerAt: now }) };
    // With the power goes the agent, and with it whatever it was still listening for. In the middle of a job the plan counts it as a boot that failed.
    const gone = event.power === 'off' && openBoot(host)?.redeemed !== undefined && host.job === null;
    return change(host, gone ? { ...part, boot: closed(host.boot, now) } : part, now, { text: `power is ${event.power}` });
  },
  'power-commanded': (host, event, now) => change(host, {}, now, { text: `power ${event.wanted} asked by ${event.by}: ${event.note}` }),
  located: (host, event, now) => change(host, {}, now, { text: `identify light asked by ${event.by}: ${event.note}` }),

  'boot-opened': (host, _event, now) => {
    const number = host.facts.bootCount + 1;
    // Without a BMC nobody can confirm an override: the operator is asked, and the ticket is good at once.
    const boot: Boot = { number, generation: host.claim?.generation ?? 0, openedAt: now, ...(host.bmc === null ? { armedAt: now } : {}) };
    const state: HostState = host.state === 'enrolled' ? 'inspecting' : host.state;
    return change(host, { state, boot, job: null, attempt: null, ...withFacts(host, { bootCount: number }) }, now, {
      text:
        host.bmc === null
          ? `boot ${number} opened; there is no BMC: press the power button and boot from the network`
          : `boot ${number} opened`,
    });
  },
  'boot-armed': (host, event, now) => {
    const boot = openBoot(host);
    if (boot === undefined) return refuse('state-conflict', `host ${host.name} has no open boot`);
    return change(host, { boot: { ...boot, armedAt: now }, attempt: null }, now, {
      text: `next boot is from the network, once${event.note}`,
    });
  },
  'boot-powered': (host, _event, now) => {
    const boot = openBoot(host);
    if (boot?.armedAt === undefined) return refuse('state-conflict', `host ${host.name} has no armed boot`);
    return change(host, { boot: { ...boot, poweredOnAt: now }, attempt: null, ...withFacts(host, { power: 'on', powerAt: now }) }, now, {
      text: 'powered on',
    });
  },
  'boot-failed': (host, event, now) => {
    const tries = host.bootTries + 1;
    const over = tries >= event.triesMax;
    const failed = over ? { step: 'boot', code: event.code, reason: event.reason, at: now, tries } : null;
    return change(host, { boot: closed(host.boot, now), job: null, attempt: null, bootTries: tries, failed }, now, {
      text: `boot ${host.boot?.number ?? 0} came to nothing (try ${tries} of ${event.triesMax}): ${event.reason}`,
      data: { code: event.code },
    });
  },
  'step-missed': (host, event, now) => {
    const before = host.attempt?.step === event.step ? host.attempt : null;
    const attempt = {
      step: event.step,
      since: before?.since ?? now,
      tries: (before?.tries ?? 0) + 1,
      notBefore: event.notBefore,
      code: event.code,
      reason: event.reason,
    };
    // The same reason again is not news: it counts, but writes no second line.
    return before?.reason === event.reason
      ? { host: { ...host, attempt }, entries: [] }
      : change(host, { attempt }, now, { text: `${event.step}: ${event.reason}`, data: { code: event.code } });
  },
  'step-failed': (host, event, now) =>
    change(
      host,
      { failed: { step: event.step, code: event.code, reason: event.reason, at: now, tries: host.attempt?.tries ?? 1 }, attempt: null },
      now,
      {
        text: `failed at ${event.step}: ${event.reason}`,
        data: { code: event.code },
      },
    ),

  // The owner's patience is over: whatever was under way ends here, and a late report of its agent is stale.
  'timed-out': (host, event, now) =>
    change(
      host,
      {
        failed: { step: event.step, code: 'timed-out', reason: event.reason, at: now, tries: host.bootTries },
        boot: closed(host.boot, now),
        job: null,
        attempt: null,
      },
      now,
      { text: `timed out at ${event.step}: ${event.reason}`, data: { code: 'timed-out' } },
    ),

  'step-done': (host, event, now) =>
    host.attempt?.step === event.step
      ? change(host, { attempt: null }, now, {
          text: `${event.step} succeeded after ${host.attempt.tries} ${host.attempt.tries === 1 ? 'try' : 'tries'}`,
        })
      : same(host),
};
