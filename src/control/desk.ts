/** The desk where agents and installed systems report: every call is judged by its ticket, credential or token before anything else. */
import { z } from 'zod';
import { judgeCredential, judgePhoneHome, judgeTicket, mintCredential, mintPhoneHome, ownsKey, readTicket } from '../boot/ticket.ts';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Host, Job } from '../host/host.ts';
import { macsOf } from '../host/identity.ts';
import { inventorySchema } from '../host/inventory.ts';
import { logTail } from '../host/log-tail.ts';
import { networkConfigYaml } from '../host/network.ts';
import { decideWork } from '../host/plan.ts';
import type { ImageStore, Proof } from '../image/store.ts';
import { seedFiles, seedImage } from '../image/seed.ts';
import type { Ipv4 } from '../wire/address.ts';
import type { Clock } from '../world/world.ts';
import { recordEvidence } from './identifying.ts';
import type { Keeper } from './keeper.ts';
import type { PresenceBook } from './presence.ts';

const word = z.string().min(1).max(256);
const redeemSchema = z.object({ ticket: word, publicKey: z.string().max(64), signature: z.string().max(128) });
const progressSchema = z.object({
  job: word,
  step: z.enum(['write', 'verify', 'seed', 'clean']),
  doneBytes: z.number().nonnegative(),
  totalBytes: z.number().nonnegative(),
});
const seedSchema = z.object({ job: word });
const reportSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('done'), job: word, digest: z.string().max(80).optional(), seconds: z.number().optional() }),
  z.object({ outcome: z.literal('failed'), job: word, code: z.string().max(64), reason: z.string().max(2000) }),
]);

/** Failures of a job that the same job would meet again: the operator must look. The others are tried again. */
const finalFailures: ReadonlySet<string> = new Set([
  'disk-missing',
  'disk-mismatch',
  'disk-read-only',
  'disk-too-small',
  'image-unsigned',
  'signature-invalid',
]);

export interface DeskParts {
  readonly keeper: Keeper;
  readonly presence: PresenceBook;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly images: Pick<ImageStore, 'manifest' | 'proof'>;
  /** Seals tickets, credentials and tokens. */
  readonly secret: Uint8Array;
  readonly httpPort: number;
}
/** Who calls: the credential, the peer's address, and the address of ours that it called. */
export interface Caller {
  readonly credential: string;
  readonly local: Ipv4;
}
type AgentWork = Readonly<Record<string, unknown>>;
/** The answer to a report: what the agent does then. */
// oxlint-disable-next-line unicorn/no-thenable -- a word of the agent's protocol; it is text, nobody awaits it
const after = (what: 'next' | 'reboot'): AgentWork => ({ then: what });

const throwIf = (refusal: { readonly refused: Code; readonly reason: string } | undefined): void => {
  if (refusal !== undefined) throw new RemudaError(refusal.refused, refusal.reason);
};

/** For the agent, in the words of image/signature.ts. */
const proofJson = ({ signatures, trust }: Proof): AgentWork => ({
  signatures,
  trust: {
    required: trust.required,
    keys: trust.keys.map(({ name, keyId, bytes }) => ({ name, keyId, publicKey: Buffer.from(bytes).toString('base64') })),
  },
});

export class Desk {
  readonly #parts: DeskParts;
  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** The host of a ticket that is still good: for its script, which may be fetched again unchanged until it is redeemed, or to redeem it. */
  hostOfTicket(ticketWord: string, peer: Ipv4 | undefined, wanted: 'script' | 'redeem'): Host {
    const { secret, keeper, clock } = this.#parts;
    const ticket = readTicket(secret, ticketWord);
    const host = ticket === undefined ? undefined : keeper.get(ticket.hostId);
    throwIf(judgeTicket(host, ticket, { for: wanted, peer, now: clock.now() }));
    if (host === undefined) throw new RemudaError('ticket-invalid', 'this is not a ticket of ours');
    return host;
  }

  /** Exchanges a ticket for the boot credential. The same key gets the same answer again; a second key contests the boot and nobody gets anything more. */
  async redeem(body: unknown, peer: Ipv4 | undefined): Promise<AgentWork> {
    const { ticket, publicKey, signature } = redeemSchema.parse(body);
    const host = this.hostOfTicket(ticket, peer, 'redeem');
    if (!ownsKey(publicKey, signature, ticket))
      throw new RemudaError('ticket-invalid', 'the signature does not show the key that is named');
    const boot = host.boot?.number ?? 0;
    const seen = await this.#parts.keeper.apply(host.id, { type: 'redeemed', boot, publicKey });
    if (seen.boot?.contestedAt !== undefined) throw new RemudaError('boot-contested', `boot ${boot} of ${host.name} is contested`);
    this.#parts.presence.heard(host.id);
    return {
      credential: mintCredential(this.#parts.secret, { hostId: host.id, boot, publicKey }),
      hostId: host.id,
      hostName: host.name,
      boot,
    };
  }

  async inventory(caller: Caller, body: unknown): Promise<void> {
    const { host, boot } = this.#agent(caller);
    const inventory = inventorySchema.parse(body);
    const { uuid, serial } = inventory;
    await recordEvidence(this.#parts.keeper, host.id, { uuid, serial, macs: macsOf(inventory) }, (taken) => ({
      type: 'inventory',
      boot,
      inventory,
      taken,
    }));
  }

  /** What to do next; waits a while for something to do. */
  async next(caller: Caller, signal: AbortSignal): Promise<AgentWork> {
    const { clock, keeper, limits, presence } = this.#parts;
    const until = clock.now() + limits.agentPollMs;
    for (;;) {
      const { host } = this.#agent(caller);
      const work = decideWork(host, clock.now());
      if (work.work === 'clean') return this.#give(host, work.job, caller);
      if (work.work === 'install') {
        const { refused, reason = '' } = await this.#verdictOn(host);
        if (refused === undefined) return this.#give(host, work.job, caller);
        await keeper.apply(host.id, { type: 'step-failed', step: 'install', code: refused, reason });
      } else if (work.work === 'fail')
        await keeper.apply(host.id, { type: 'step-failed', step: work.step, code: work.code, reason: work.reason });
      else if (work.work !== 'wait') return { work: work.work };
      const left = until - clock.now();
      if (left <= 0 || signal.aborted) return { work: 'wait' };
      await presence.changed(left, signal, host.id);
    }
  }

  /** The permission to write, renewed: on record before the agent hears of it, refused as soon as the job is not current. */
  async progress(caller: Caller, body: unknown): Promise<void> {
    const { job, step, doneBytes, totalBytes } = progressSchema.parse(body);
    const { host } = this.#agent(caller);
    await this.#parts.keeper.apply(host.id, { type: 'job-started', jobId: job });
    this.#parts.presence.note(host.id, { progress: { job, step, done: doneBytes, total: totalBytes } });
    this.#parts.presence.signalChange(host.id);
  }

  /** The NoCloud file system of the current generation. Only to the agent of an uncontested boot that has begun to write this very job. */
  async seed(caller: Caller, body: unknown): Promise<Uint8Array> {
    const { job: jobId } = seedSchema.parse(body);
    const { host } = this.#agent(caller);
    const current = await this.#parts.keeper.apply(host.id, { type: 'job-started', jobId });
    const { claim, job } = current;
    if (claim === null || job?.kind !== 'install') throw new RemudaError('job-stale', `job ${jobId} has no seed`);
    const manifest = await this.#parts.images.manifest(claim.intent.image);
    if (manifest.seed === null) throw new RemudaError('conflict', `image ${claim.intent.imageName} has no place for a seed`);
    const { intent, generation } = claim;
    const home = this.#phoneHomeUrl(current.id, claim, caller.local);
    return seedImage(
      seedFiles({
        instanceId: `${claim.id}.${generation}`,
        claimId: claim.id,
        hostName: intent.hostName,
        ...(intent.userData === undefined ? {} : { userData: intent.userData }),
        ...(intent.metaData === undefined ? {} : { metaData: intent.metaData }),
        ...(intent.network === undefined ? {} : { networkConfig: networkConfigYaml(intent.network) }),
        ...(intent.phoneHome === 'none' ? {} : { phoneHomeUrl: home, reportFailureUrl: `${home}/failed` }),
      }),
      manifest.seed.sizeBytes,
    );
  }
  #phoneHomeUrl(hostId: string, claim: { readonly id: string; readonly generation: number }, local: Ipv4): string {
    return `http://${local}:${this.#parts.httpPort}/phone-home/${mintPhoneHome(this.#parts.secret, hostId, claim)}`;
  }

  /** How a job ended. Repeated reports change nothing. */
  async report(caller: Caller, body: unknown): Promise<AgentWork> {
    const said = reportSchema.parse(body);
    const { keeper, limits, presence } = this.#parts;
    const { host } = this.#agent(caller);
    presence.forgetProgress(host.id);
    if (said.outcome === 'failed') {
      await keeper.apply(host.id, {
        type: 'job-failed',
        jobId: said.job,
        code: said.code,
        reason: said.reason,
        final: finalFailures.has(said.code),
        triesMax: limits.stepTries,
      });
      return after('next');
    }
    if (said.job.endsWith('.clean')) {
      await keeper.apply(host.id, { type: 'cleaned', jobId: said.job });
      return after('next');
    }
    const wanted = host.claim?.intent.image;
    if (host.job?.id === said.job && said.digest !== wanted) {
      await keeper.apply(host.id, {
        type: 'job-failed',
        jobId: said.job,
        code: 'read-back-mismatch',
        reason: `the agent read ${said.digest ?? 'nothing'} back, the claim asks for ${wanted ?? 'nothing'}`,
        final: false,
        triesMax: limits.stepTries,
      });
      return after('next');
    }
    await keeper.apply(host.id, { type: 'installed', jobId: said.job, digest: said.digest ?? '' });
    return after('reboot');
  }

  /** The installed OS could not do what its user data say; `log` is the end of what it has to tell of it. It may phone home as well. */
  async bootstrapFailed(token: string, log: string): Promise<void> {
    const { keeper, secret } = this.#parts;
    const judged = judgePhoneHome(secret, token, (id) => keeper.get(id));
    if ('refused' in judged) throw new RemudaError(judged.refused, judged.reason);
    const { host, claimId, generation } = judged;
    await keeper.apply(host.id, { type: 'bootstrap-failed', claimId, generation, tail: logTail(log) });
  }

  /** The installed OS is up. cloud-init says so when its commands are over, whether they succeeded or not: `bootstrapFailed` tells that. */
  async phoneHome(token: string, hostName: string): Promise<void> {
    const { keeper, secret } = this.#parts;
    const judged = judgePhoneHome(secret, token, (id) => keeper.get(id));
    if ('refused' in judged) throw new RemudaError(judged.refused, judged.reason);
    const { host, claimId, generation } = judged;
    await keeper.apply(host.id, { type: 'phoned-home', claimId, generation, hostName: hostName.slice(0, 253) || '(none)' });
  }

  /** The agent behind a credential; hearing from it is what keeps its boot alive. */
  #agent(caller: Caller): { readonly host: Host; readonly boot: number } {
    const judged = judgeCredential(this.#parts.secret, caller.credential, (id) => this.#parts.keeper.get(id));
    if ('refused' in judged) throw new RemudaError(judged.refused, judged.reason);
    this.#parts.presence.heard(judged.host.id);
    return judged;
  }

  /** Whether the claim's image may still be run: keys and signatures may have changed since the claim was made. */
  async #verdictOn({ claim }: Host): Promise<Proof['verdict']> {
    return claim === null ? { signedBy: [] } : (await this.#parts.images.proof(claim.intent.image)).verdict;
  }

  async #give(host: Host, job: Job, caller: Caller): Promise<AgentWork> {
    const { images, keeper, limits, httpPort } = this.#parts;
    const image = job.kind === 'install' && host.claim !== null ? await images.manifest(host.claim.intent.image) : undefined;
    const given = (await keeper.apply(host.id, { type: 'job-given', job })).job ?? job;
    const common = { id: given.id, generation: given.generation, disk: given.disk, grantSeconds: limits.agentGrantSeconds };
    if (image === undefined) return { work: 'clean', job: { ...common, mode: 'zero' } };
    const { digest, sizeBytes, chunkBytes, chunks, seed } = image;
    return {
      work: 'install',
      job: {
        ...common,
        image: { digest, sizeBytes, chunkBytes, chunks },
        chunkUrl: `http://${caller.local}:${httpPort}/chunks/`,
        seed,
        ...proofJson(await images.proof(digest)),
      },
    };
  }
}
