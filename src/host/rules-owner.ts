/** What people and owners may ask of a host: accept, hold, retry, claim, reprovision, release. */
import { change, closed, fresh, inState, refuse, same, withFacts } from './events.ts';
import type { Changed, Of, Rules } from './events.ts';
import { reservationOf } from './host.ts';
import type { Claim, Host } from './host.ts';

const release = (host: Host, now: number, { by, reserve }: Of<'release'>, claim: Claim): Changed => {
  const kept = reserve === undefined ? '' : `; kept for ${JSON.stringify(reserve.for)} for ${reserve.seconds} s from when it is clean`;
  const dirty = host.facts.dirty;
  const common = { claim: null, job: null, ...fresh };
  if (dirty === null)
    return change(
      host,
      {
        ...common,
        state: 'available',
        release: null,
        reservation: reserve === undefined ? null : { ...reserve, until: now + reserve.seconds * 1000 },
        ...withFacts(host, { installed: null, phonedHome: null, availableSince: now }),
      },
      now,
      { text: `claim ${claim.id} released by ${by}; nothing was written, the host is available${kept}` },
    );
  return change(
    host,
    {
      ...common,
      state: 'cleaning',
      release: { claimId: claim.id, generation: claim.generation, disk: dirty, at: now },
      reservation: reserve === undefined ? null : { ...reserve, until: null },
      ...withFacts(host, { phonedHome: null, availableSince: null }),
    },
    now,
    { text: `claim ${claim.id} released by ${by}; the host is unallocatable until its disk is clean${kept}`, data: { disk: dirty } },
  );
};

/** What failed after the installation (the OS never phoned home, or its bootstrap failed) is begun again from the installation. */
const isInstalledAgain = ({ state, failed }: Host): boolean =>
  state === 'provisioning' || (state === 'provisioned' && failed?.step === 'bootstrap');

export const ownerRules: Rules<'accept' | 'hold' | 'unhold' | 'retry' | 'claim' | 'reprovision' | 'release' | 'unreserve'> = {
  accept: (host, event, now) =>
    host.state === 'discovered'
      ? change(host, { state: 'enrolled', ...(event.bmc === undefined ? {} : { bmc: event.bmc }) }, now, {
          text: `accepted by ${event.by}`,
        })
      : inState(host, 'a discovered host'),
  hold: (host, event, now) =>
    change(host, { held: { by: event.by, why: event.why, at: now } }, now, { text: `held by ${event.by}: ${event.why}` }),
  unhold: (host, event, now) =>
    host.held === null
      ? refuse('state-conflict', `host ${host.name} is not held`)
      : change(host, { held: null, boot: closed(host.boot, now), job: null, attempt: null }, now, { text: `hold lifted by ${event.by}` }),
  retry: (host, event, now) =>
    host.failed === null
      ? refuse('state-conflict', `host ${host.name} has not failed`)
      : change(
          host,
          {
            ...fresh,
            boot: closed(host.boot, now),
            job: null,
            ...(host.claim === null ? {} : { claim: { ...host.claim, generationAt: now } }),
            ...(isInstalledAgain(host)
              ? { state: 'provisioning' as const, ...withFacts(host, { installed: null, phonedHome: null }) }
              : {}),
          },
          now,
          { text: `retry asked by ${event.by}` },
        ),
  claim: (host, event, now) => {
    // Whoever asks compares the two requests; from here nobody could tell which of them made the claim.
    if (host.claim?.id === event.id) return refuse('claim-exists', `claim ${event.id} holds host ${host.name} already`);
    if (host.claim !== null) return refuse('host-claimed', `host ${host.name} is claimed by ${host.claim.owner} (${host.claim.id})`);
    if (host.held !== null) return refuse('state-conflict', `host ${host.name} is held by ${host.held.by}: ${host.held.why}`);
    if (host.state !== 'available' || host.failed !== null) return inState(host, 'an available host that has not failed');
    const reserved = reservationOf(host, now);
    if (reserved !== undefined && reserved.for !== event.asked?.reuse?.of)
      return refuse('state-conflict', `host ${host.name} is kept for ${JSON.stringify(reserved.for)}: take it with this word, or lift it`);
    const claim: Claim = {
      id: event.id,
      owner: event.owner,
      generation: 1,
      intent: event.intent,
      rule: event.rule,
      disk: event.disk,
      createdAt: now,
      generationAt: now,
      ...(event.asked === undefined ? {} : { asked: event.asked }),
      ...(event.provisionTimeoutSeconds === undefined ? {} : { provisionTimeoutSeconds: event.provisionTimeoutSeconds }),
    };
    return change(
      host,
      {
        state: 'provisioning',
        claim,
        reservation: null,
        ...fresh,
        ...withFacts(host, { installed: null, phonedHome: null, availableSince: null }),
      },
      now,
      {
        text: `claimed by ${event.owner}: image ${event.intent.imageName} as ${event.intent.hostName}, generation 1`,
        data: { claim: event.id, image: event.intent.image, disk: event.disk },
      },
    );
  },
  reprovision: (host, event, now) => {
    const claim = host.claim;
    if (claim === null || claim.id !== event.claimId)
      return refuse('claim-not-found', `host ${host.name} is not held by claim ${event.claimId}`);
    if (host.state !== 'provisioned' && host.state !== 'provisioning') return inState(host, 'a provisioned or provisioning host');
    const generation = claim.generation + 1;
    return change(
      host,
      {
        state: 'provisioning',
        claim: { ...claim, generation, intent: event.intent, generationAt: now },
        ...fresh,
        job: null,
        ...withFacts(host, { installed: null, phonedHome: null }),
      },
      now,
      {
        text: `reprovision: image ${event.intent.imageName} as ${event.intent.hostName}, generation ${generation}`,
        data: { image: event.intent.image },
      },
    );
  },
  release: (host, event, now) => {
    if (host.release?.claimId === event.claimId) return same(host);
    if (host.claim === null || host.claim.id !== event.claimId)
      return refuse('claim-not-found', `host ${host.name} is not held by claim ${event.claimId}`);
    return release(host, now, event, host.claim);
  },
  unreserve: (host, event, now) => {
    const reserved = reservationOf(host, now);
    return reserved === undefined
      ? refuse('state-conflict', `host ${host.name} is kept for nobody`)
      : change(host, { reservation: null }, now, { text: `no longer kept for ${JSON.stringify(reserved.for)}, by ${event.by}` });
  },
};
