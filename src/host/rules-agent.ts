/** What the agent and the installed OS tell. Here stands the law of the disk: who may write what, and until when. */
import { change, closed, fresh, refuse, same, withFacts } from './events.ts';
import type { Refused, Rules } from './events.ts';
import { isSameDisk } from './disk.ts';
import { isInstalled, openBoot } from './host.ts';
import type { Host, Job } from './host.ts';

/** The job's boot is the open one and the job is the one that was given. */
const currentJob = (host: Host, jobId: string): Job | Refused => {
  const job = host.job;
  if (job === null || job.id !== jobId || openBoot(host)?.number !== job.boot)
    return refuse('job-stale', `job ${jobId} is not current on ${host.name}`);
  if (
    job.kind === 'install' &&
    (host.state !== 'provisioning' || host.claim?.id !== job.claimId || host.claim.generation !== job.generation)
  )
    return refuse(
      'job-stale',
      `job ${jobId} is of generation ${job.generation}; the host is ${host.state} at generation ${host.claim?.generation ?? 'none'}`,
    );
  if (job.kind === 'clean' && (host.state !== 'cleaning' || host.release?.claimId !== job.claimId))
    return refuse('job-stale', `job ${jobId} cleans for a release that is over; the host is ${host.state}`);
  return job;
};
/** The agent works in a boot that began from off, so whatever the owner ran is over. Without a BMC nobody saw how the boot began. */
const takenOver = (host: Host, { kind }: Job, now: number): Partial<Host> =>
  kind !== 'clean' || host.bmc === null || host.release === null || host.release.offAt !== undefined
    ? {}
    : { release: { ...host.release, offAt: now } };
const isRefused = (value: object): value is Refused => 'refused' in value;

export const agentRules: Rules<
  'redeemed' | 'job-given' | 'job-started' | 'job-failed' | 'installed' | 'cleaned' | 'phoned-home' | 'bootstrap-failed'
> = {
  redeemed: (host, event, now) => {
    const boot = host.boot;
    if (boot === null || boot.number !== event.boot) return refuse('ticket-stale', `boot ${event.boot} of ${host.name} is over`);
    if (boot.contestedAt !== undefined) return refuse('boot-contested', `boot ${event.boot} of ${host.name} is contested`);
    // Also where the first one is through already: it may have been the thief, who is quick because he boots nothing.
    if (boot.redeemed !== undefined && boot.redeemed.publicKey !== event.publicKey) {
      const why = `two agents with different keys redeemed the ticket of boot ${boot.number}: somebody on the boot network has read it`;
      const held = { by: 'boot', why, at: now };
      return change(host, { boot: { ...boot, contestedAt: now, closedAt: boot.closedAt ?? now }, job: null, held }, now, {
        text: `boot contested: ${why}`,
        data: { code: 'boot-contested' },
      });
    }
    if (boot.closedAt !== undefined) return refuse('ticket-stale', `boot ${event.boot} of ${host.name} is over`);
    if (boot.redeemed !== undefined) return same(host);
    return change(host, { boot: { ...boot, redeemed: { publicKey: event.publicKey, at: now } }, attempt: null }, now, {
      text: `agent arrived (boot ${boot.number})`,
    });
  },
  'job-given': (host, event, now) => {
    const { job } = event;
    const boot = openBoot(host);
    if (boot?.redeemed === undefined || boot.number !== job.boot) return refuse('job-stale', `boot ${job.boot} of ${host.name} is over`);
    if (host.job?.id === job.id) return same(host);
    const named = job.kind === 'install' ? host.claim?.disk : host.release?.disk;
    if (named === undefined || !isSameDisk(named, job.disk))
      return refuse('job-stale', `job ${job.id} names a disk that is not the claim's`);
    const next = { ...host, job };
    const standing = currentJob(next, job.id);
    if (isRefused(standing)) return standing;
    return change(host, { job, attempt: null, ...takenOver(host, job, now) }, now, {
      text: `${job.kind} given to the agent (generation ${job.generation})`,
      data: { job: job.id, disk: job.disk },
    });
  },
  'job-started': (host, event, now) => {
    const job = currentJob(host, event.jobId);
    if (isRefused(job)) return job;
    if (job.startedAt !== undefined) return same(host);
    // The permission to write is on record before the agent hears of it: from here on the disk counts as dirty.
    const count =
      job.kind === 'install'
        ? { installCount: host.facts.installCount + 1, installed: null }
        : { wipeCount: host.facts.wipeCount + 1, installed: null };
    return change(host, { job: { ...job, startedAt: now }, ...withFacts(host, { ...count, dirty: job.disk }) }, now, {
      text: `${job.kind === 'install' ? 'writing' : 'cleaning'} ${job.disk.path}${job.disk.serial === undefined ? '' : ` (serial ${job.disk.serial})`}`,
      data: { job: job.id, disk: job.disk },
    });
  },
  'job-failed': (host, event, now) => {
    const job = currentJob(host, event.jobId);
    if (isRefused(job)) return job;
    const tries = host.bootTries + 1;
    const over = event.final || tries >= event.triesMax;
    const failed = over ? { step: job.kind, code: event.code, reason: event.reason, at: now, tries } : null;
    return change(host, { job: null, bootTries: tries, failed }, now, {
      text: `${job.kind} failed: ${event.reason}`,
      data: { code: event.code, job: job.id },
    });
  },
  installed: (host, event, now) => {
    // The agent repeats its report until it is answered: a second one for what is already installed changes nothing.
    if (isInstalled(host) && host.facts.installed?.digest === event.digest && event.jobId.endsWith('.install')) return same(host);
    const job = currentJob(host, event.jobId);
    if (isRefused(job)) return job;
    const claim = host.claim;
    if (claim === null || job.kind !== 'install' || job.startedAt === undefined)
      return refuse('job-stale', `job ${event.jobId} was never started`);
    if (event.digest !== claim.intent.image)
      return refuse('bad-request', `the agent read ${event.digest} back, but the claim asks for ${claim.intent.image}`);
    const installed = { claimId: claim.id, generation: claim.generation, digest: event.digest, disk: job.disk, at: now };
    const part = { ...fresh, job: null, boot: closed(host.boot, now), ...withFacts(host, { installed }) };
    const read = `image ${claim.intent.imageName} verified on ${job.disk.path} by reading it back`;
    return claim.intent.phoneHome === 'none'
      ? change(host, { ...part, state: 'provisioned' }, now, {
          text: `${read}; provisioned (this image cannot phone home: nobody saw it run)`,
          data: { digest: event.digest },
        })
      : change(host, part, now, { text: `${read}; waiting for its OS to phone home`, data: { digest: event.digest } });
  },
  cleaned: (host, event, now) => {
    const job = currentJob(host, event.jobId);
    if (isRefused(job)) return host.release === null && event.jobId.endsWith('.clean') && host.state === 'available' ? same(host) : job;
    if (job.kind !== 'clean' || job.startedAt === undefined) return refuse('job-stale', `job ${event.jobId} was never started`);
    return change(
      host,
      {
        ...fresh,
        state: 'available',
        release: null,
        ...(host.reservation?.until === null ? { reservation: { ...host.reservation, until: now + host.reservation.seconds * 1000 } } : {}),
        job: null,
        ...withFacts(host, { dirty: null, installed: null, phonedHome: null, availableSince: now }),
      },
      now,
      { text: `${job.disk.path} is clean, read back; the host is available`, data: { disk: job.disk } },
    );
  },

  'phoned-home': (host, event, now) => {
    if (host.claim === null || host.claim.id !== event.claimId || host.claim.generation !== event.generation)
      return refuse(
        'generation-stale',
        `a phone-home of generation ${event.generation}; ${host.name} is at ${host.claim?.generation ?? 'no claim'}`,
      );
    if (!isInstalled(host)) return refuse('generation-stale', `generation ${event.generation} is not installed on ${host.name} yet`);
    if (host.state === 'provisioned' && host.facts.phonedHome?.generation === event.generation) return same(host);
    const phonedHome = { generation: event.generation, hostName: event.hostName, at: now };
    return change(
      host,
      {
        ...fresh,
        // cloud-init phones home whether its commands succeeded or not: what the OS itself told of its bootstrap stands.
        ...(host.failed?.step === 'bootstrap' ? { failed: host.failed } : {}),
        state: 'provisioned',
        boot: closed(host.boot, now),
        job: null,
        ...withFacts(host, { phonedHome, power: 'on', powerAt: now }),
      },
      now,
      {
        text: `${event.hostName} phoned home: provisioned (generation ${event.generation})`,
      },
    );
  },
  'bootstrap-failed': (host, event, now) => {
    if (host.claim === null || host.claim.id !== event.claimId || host.claim.generation !== event.generation || !isInstalled(host))
      return refuse('generation-stale', `a report of generation ${event.generation}, which is not what runs on ${host.name}`);
    // It is repeated until it is answered.
    if (host.failed?.step === 'bootstrap') return same(host);
    const reason = `its OS reports that the bootstrap failed: ${event.tail === '' ? 'without a word' : event.tail}`;
    return change(host, { failed: { step: 'bootstrap', code: 'bootstrap-failed', reason, at: now, tries: 1 }, attempt: null }, now, {
      text: `failed at bootstrap: ${reason}`,
      data: { code: 'bootstrap-failed', claim: event.claimId, generation: event.generation },
    });
  },
};
