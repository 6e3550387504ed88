/** What to do next with one host: a pure function of the host, what was just seen of it, and the time. */
import type { Limits } from '../limits.ts';
import type { Code } from '../errors.ts';
import { describeDisk, identityOf, isSameDisk } from './disk.ts';
import type { DiskIdentity } from './disk.ts';
import { isInstalled, openBoot } from './host.ts';
import type { Boot, Host, Job, JobKind, Power } from './host.ts';

/** What is known at this moment and is not worth keeping. */
export interface Seen {
  /** Read from the BMC just now; undefined where there is none. */
  readonly power: Power | undefined;
  /** When the agent of the open boot last spoke (or this process began, if it has not since). */
  readonly agentAt: number;
  /** The last packet of this host in the open boot, in words. */
  readonly packet?: { readonly at: number; readonly text: string };
}
export type Step =
  | { readonly do: 'wait'; readonly until: number; readonly why: string }
  | { readonly do: 'identify' }
  /** A MAC was proposed: its BMC is asked whether it is the host's. */
  | { readonly do: 'confirm' }
  | { readonly do: 'power-off'; readonly why: string }
  | { readonly do: 'open-boot' }
  | { readonly do: 'boot-once' }
  | { readonly do: 'power-on'; readonly why: string }
  | { readonly do: 'record-powered' }
  | { readonly do: 'fail-boot'; readonly code: Code; readonly reason: string }
  | { readonly do: 'time-out'; readonly step: string; readonly reason: string }
  | { readonly do: 'fail'; readonly step: string; readonly code: Code; readonly reason: string };

const forever = Number.MAX_SAFE_INTEGER;
const wait = (why: string, until = forever): Step => ({ do: 'wait', until, why });

/** Does the state ask for the agent? */
const wantsAgent = (host: Host): boolean =>
  host.state === 'enrolled' ||
  host.state === 'inspecting' ||
  host.state === 'cleaning' ||
  (host.state === 'provisioning' && !isInstalled(host));

/** The agent of the open boot is there and may be given work. */
export const agentAlive = (boot: Boot | undefined, seen: Seen, now: number, limits: Limits): boolean =>
  boot?.redeemed !== undefined && now - seen.agentAt < limits.agentAliveMs;

const minutes = (ms: number): string => (ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 1000)} s`);

/** A boot that is open: power comes on once, then the agent must arrive, then it must keep talking. */
const followBoot = (host: Host, boot: Boot, seen: Seen, at: { readonly now: number; readonly limits: Limits }): Step => {
  const { now, limits } = at;
  if (boot.redeemed !== undefined) {
    if (seen.power === 'off')
      return {
        do: 'fail-boot',
        code: 'bmc-ignored',
        reason: `the power went off${host.job === null ? '' : ` in the middle of ${host.job.kind}`}`,
      };
    if (agentAlive(boot, seen, now, limits)) return wait('the agent works', seen.agentAt + limits.agentAliveMs);
    const last = Math.max(seen.agentAt, boot.redeemed.at);
    if (now - last >= limits.jobSilenceMs)
      return {
        do: 'fail-boot',
        code: 'internal',
        reason: `the agent fell silent ${minutes(now - last)} ago${host.job === null ? '' : ` in the middle of ${host.job.kind}`}`,
      };
    return wait('the agent is silent', last + limits.jobSilenceMs);
  }
  if (now >= boot.openedAt + limits.bootTicketMs)
    return host.bmc === null
      ? { do: 'open-boot' }
      : { do: 'fail-boot', code: 'ticket-expired', reason: 'the boot ticket expired before the agent arrived' };
  if (host.bmc === null) return wait('no BMC: press the power button and boot from the network', boot.openedAt + limits.bootTicketMs);
  if (boot.armedAt === undefined)
    return seen.power === 'off' ? { do: 'boot-once' } : { do: 'power-off', why: 'boot once is set while the power is off' };
  if (boot.poweredOnAt === undefined)
    return seen.power === 'on' ? { do: 'record-powered' } : { do: 'power-on', why: `boot ${boot.number}` };
  const packet = seen.packet !== undefined && seen.packet.at >= boot.openedAt ? seen.packet : undefined;
  const deadline = boot.poweredOnAt + (packet === undefined ? limits.firstPacketMs : limits.agentArrivesMs);
  if (now < deadline) {
    if (seen.power === 'off' && now - boot.poweredOnAt > limits.powerStepMs)
      return { do: 'fail-boot', code: 'bmc-ignored', reason: 'the power went off before the agent arrived' };
    return wait(packet === undefined ? 'waiting for the first packet' : 'waiting for the agent', deadline);
  }
  return packet === undefined
    ? {
        do: 'fail-boot',
        code: 'bmc-ignored',
        reason: `the BMC says the power is ${seen.power ?? 'unknown'}, but not one packet of ${host.macs.join(', ')} was seen in ${minutes(now - boot.poweredOnAt)}`,
      }
    : { do: 'fail-boot', code: 'internal', reason: `the agent never arrived; the last that was seen of the host: ${packet.text}` };
};

/** The OS was installed: the disk must boot and phone home. */
const followDiskBoot = (host: Host, seen: Seen, now: number, limits: Limits): Step => {
  const since = host.facts.installed?.at ?? now;
  if (now >= since + limits.phoneHomeMs)
    return {
      do: 'fail',
      step: 'phone-home',
      code: 'internal',
      reason: `the image is verified on the disk, but its OS did not phone home within ${minutes(now - since)}: it does not boot, or it has no network`,
    };
  if (seen.power === 'off') return { do: 'power-on', why: 'the installed OS boots from its disk' };
  return wait('waiting for the OS to phone home', since + limits.phoneHomeMs);
};

const parked = (host: Host, seen: Seen, now: number, limits: Limits): Step => {
  const until = (host.facts.availableSince ?? now) + limits.parkMs;
  if (host.bmc === null || seen.power !== 'on') return wait('may be claimed');
  return now >= until ? { do: 'power-off', why: 'available and not needed' } : wait('may be claimed, parked in the agent', until);
};

/** A MAC was proposed and its BMC has not said often enough that it is not the host's. One that does not answer is asked less and less. */
const mustAsk = (host: Host, now: number, limits: Limits): boolean => {
  if (host.bmc === null || host.state === 'discovered') return false;
  const pause = (missed: number): number => Math.min(limits.resyncMs * 2 ** Math.min(missed, 10), limits.macAskAgainMs);
  return (host.identity?.proposals ?? []).some(
    ({ asked, missed, askedAt }) => asked < limits.stepTries && now >= askedAt + (askedAt === 0 ? 0 : pause(missed)),
  );
};

/** When the owner's patience is over; undefined where nobody waits. */
const deadlineOf = ({ state, claim }: Host): number | undefined =>
  state === 'provisioning' && claim?.provisionTimeoutSeconds !== undefined
    ? (claim.generationAt ?? claim.createdAt) + claim.provisionTimeoutSeconds * 1000
    : undefined;

/** The next step of a host. Never a power cycle or a reset: off, boot once, on. */
export const plan = (host: Host, seen: Seen, now: number, limits: Limits): Step => {
  if (host.held !== null) return wait(`held by ${host.held.by}: ${host.held.why}`);
  if (mustAsk(host, now, limits)) return { do: 'confirm' };
  const step = nextStep(host, seen, now, limits);
  const deadline = host.failed === null ? deadlineOf(host) : undefined;
  if (deadline === undefined || step.do === 'fail') return step;
  if (now >= deadline) {
    const doing = host.job?.kind ?? (isInstalled(host) ? 'phone-home' : 'boot');
    const text = step.do === 'wait' ? step.why : step.do;
    return { do: 'time-out', step: doing, reason: `not provisioned within ${minutes(patienceMs(host))}; last: ${text}` };
  }
  return step.do === 'wait' ? { ...step, until: Math.min(step.until, deadline) } : step;
};
const patienceMs = ({ claim }: Host): number => (claim?.provisionTimeoutSeconds ?? 0) * 1000;

const nextStep = (host: Host, seen: Seen, now: number, limits: Limits): Step => {
  if (host.failed !== null) return wait(`failed at ${host.failed.step}: ${host.failed.reason}`);
  // Before the pause to the next try: reading the power is tried at each activation, so a BMC that stays silent never gets past it.
  // While the agent works, nobody needs the BMC.
  const isNeeded = !agentAlive(openBoot(host), seen, now, limits);
  if (isNeeded && host.attempt !== null && host.attempt.tries >= limits.stepTries && now - host.attempt.since >= limits.powerStepMs)
    return {
      do: 'fail',
      step: host.attempt.step,
      code: host.attempt.code,
      reason: `${host.attempt.reason} (${host.attempt.tries} tries in ${minutes(now - host.attempt.since)})`,
    };
  if (host.attempt !== null && now < host.attempt.notBefore) return wait(host.attempt.reason, host.attempt.notBefore);
  if (host.state === 'discovered') return wait('nobody has accepted it yet');
  if (host.state === 'provisioned') return wait('runs its image');
  if (host.bmc !== null && host.identified === null) return { do: 'identify' };
  if (host.bmc !== null && seen.power === 'unknown') return wait('the BMC does not tell the power state', now + limits.retryFirstMs);
  if (host.state === 'available') return parked(host, seen, now, limits);
  if (!wantsAgent(host)) return followDiskBoot(host, seen, now, limits);
  if (host.macs.length === 0)
    return {
      do: 'fail',
      step: 'identify',
      code: 'bad-request',
      reason: 'neither the operator nor the BMC named a MAC address of this host',
    };
  const boot = openBoot(host);
  // A ticket of an older generation was not redeemed in time: its boot serves nobody any more.
  const usable = boot !== undefined && (boot.redeemed !== undefined || boot.generation === (host.claim?.generation ?? 0));
  if (usable) return followBoot(host, boot, seen, { now, limits });
  return host.bmc === null || seen.power === 'off' ? { do: 'open-boot' } : { do: 'power-off', why: 'a boot begins from off' };
};

export type Work =
  | { readonly work: 'wait' | 'inspect' | 'reboot' | 'poweroff' }
  | { readonly work: JobKind; readonly job: Job }
  | { readonly work: 'fail'; readonly step: string; readonly code: Code; readonly reason: string };

/** The disk that the claim (or its release) names, as this boot's inventory shows it; the path may have changed. */
const findNamed = (host: Host, named: DiskIdentity): DiskIdentity | undefined => {
  const found = (host.inventory?.disks ?? []).map(identityOf).filter((disk) => isSameDisk(disk, named));
  return found.length === 1 ? found[0] : undefined;
};
const job = (
  host: Host,
  boot: Boot,
  now: number,
  of: { readonly kind: JobKind; readonly claimId: string; readonly generation: number; readonly disk: DiskIdentity },
): Work => {
  const disk = findNamed(host, of.disk);
  if (disk === undefined)
    return {
      work: 'fail',
      step: of.kind,
      code: 'disk-missing',
      reason: `the disk ${describeDisk(of.disk)} of claim ${of.claimId} is not there, or not for sure; found: ${(host.inventory?.disks ?? []).map((found) => describeDisk(found)).join('; ') || 'no disk'}; nothing was written`,
    };
  return {
    work: of.kind,
    job: {
      id: `${boot.number}.${of.generation}.${of.kind}`,
      kind: of.kind,
      boot: boot.number,
      claimId: of.claimId,
      generation: of.generation,
      disk,
      givenAt: now,
    },
  };
};

/** What the agent of the open boot does next. The only place where a disk is put into a job. */
export const decideWork = (host: Host, now: number): Work => {
  if (isInstalled(host)) return { work: 'reboot' };
  const boot = openBoot(host);
  if (boot?.redeemed === undefined || host.held !== null || host.failed !== null) return { work: 'wait' };
  if (boot.inventoryAt === undefined) return { work: 'inspect' };
  if (host.state === 'cleaning' && host.release !== null) return job(host, boot, now, { kind: 'clean', ...host.release });
  if (host.state === 'provisioning' && host.claim !== null)
    return isInstalled(host)
      ? { work: 'reboot' }
      : job(host, boot, now, { kind: 'install', claimId: host.claim.id, generation: host.claim.generation, disk: host.claim.disk });
  return { work: 'wait' };
};
