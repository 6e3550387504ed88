/** What is done for an unhealthy machine: its host is rebooted, written anew, or its owner is told to replace it. */
import { reasonOf } from '../../errors.ts';
import type { Result } from '../controller.ts';
import { fieldManager, reasons } from '../names.ts';
import { apiVersionOf, keyOf, kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { conditionOf, kubeTime } from '../runtime/conditions.ts';
import { reimageStep } from '../update/reimage.ts';
import type { Reimage } from '../update/reimage.ts';
import type { Subject } from '../update/subject.ts';
import { inTime, lookAgain, prefixOf, say, tidied } from './case.ts';
import type { Case, Change, Host } from './case.ts';

/** The recorded reboot; one that fails is said so, and repeated. */
export const power = async (on: Case, host: Host, leftMs: number): Promise<Result> => {
  try {
    // A BMC refuses to cycle what is off, and a server that died is often off.
    await on.parts.metal.power(host.id, host.facts.power === 'off' ? 'on' : 'cycle');
  } catch (error) {
    await say(on, {}, reasons.rebootFailed, `host ${host.name} could not be rebooted: ${reasonOf(error)}`);
    return lookAgain;
  }
  await say(on, { phase: 'Waiting' }, reasons.waitingForHealth, `host ${host.name} was rebooted; waiting for its machine to be healthy`);
  return inTime(leftMs);
};
export const reboot = async (on: Case, host: Host): Promise<Result> => {
  const { parts, request, spec, status } = on;
  const number = (status.reboots ?? 0) + 1;
  const change: Change = { phase: 'Rebooting', reboots: number, lastTryAt: kubeTime(parts.world.clock.now()) };
  const said = `reboot ${number} of ${spec.reboots} of host ${host.name}`;
  const recorded = await say(on, change, reasons.remediating, said);
  parts.events.record(request, { type: 'Normal', reason: 'Reboot', action: 'Remediate', note: said });
  return await power(recorded, host, spec.timeoutSeconds * 1000);
};
const reimageJob = ({ request, status }: Case, subject: Subject, host: Host): Reimage => ({
  subject,
  purpose: `${prefixOf(request)}${status.reimages ?? 0}`,
  // The image that it has: what the spec wants besides is the business of a rollout.
  digest: host.claim.image.digest,
  // Nobody hears its pods; they go with the Node.
  drains: false,
  hasBegun: (claim, record) => record !== undefined && claim.generation > record.from,
});
/** The recorded re-image, one step further. */
export const reimageOn = async (on: Case, subject: Subject, host: Host): Promise<Result> => {
  const progress = await reimageStep(on.parts, reimageJob(on, subject, host));
  if (progress.is === 'going') {
    await say(on, {}, reasons.remediating, progress.message);
    return lookAgain;
  }
  if (progress.is === 'failed') {
    // Waiting longer helps nothing: the next look takes the next try.
    await say(on, {}, reasons.reimageFailed, progress.message);
    return { requeueAfterMs: 1_000 };
  }
  await say(on, { phase: 'Waiting' }, reasons.waitingForHealth, progress.message);
  await tidied(on, subject.key);
  return inTime(Date.parse(on.status.lastTryAt ?? '') + on.spec.timeoutSeconds * 1000 - on.parts.world.clock.now());
};
export const reimage = async (on: Case, subject: Subject, host: Host): Promise<Result> => {
  const { parts, request, spec, status } = on;
  const number = (status.reimages ?? 0) + 1;
  const said = `new image ${number} of ${spec.reimages} for host ${host.name}`;
  const change: Change = { phase: 'Reimaging', reimages: number, lastTryAt: kubeTime(parts.world.clock.now()) };
  const recorded = await say(on, change, reasons.remediating, said);
  parts.events.record(request, { type: 'Normal', reason: 'Reimage', action: 'Remediate', note: said });
  return await reimageOn(recorded, subject, host);
};
/** `OwnerRemediated=False` beside `HealthCheckSucceeded=False`: the owner replaces the machine (util/collections/machine_filters.go). */
export const giveUp = async (on: Case, machine: KubeObject, why: string): Promise<Result> => {
  const { parts, request } = on;
  const { name, namespace = '', uid } = machine.metadata;
  const given = await say(on, { phase: 'GivenUp' }, reasons.givenUp, why);
  if (conditionOf(machine, 'OwnerRemediated')?.status === 'False') return {};
  const conditions = [
    {
      type: 'OwnerRemediated',
      status: 'False',
      reason: 'WaitingForRemediation',
      message: why,
      lastTransitionTime: kubeTime(parts.world.clock.now()),
    },
  ];
  const wanted: KubeObject = {
    apiVersion: apiVersionOf(kinds.machine),
    kind: kinds.machine.kind,
    metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
    status: { conditions },
  };
  // Applied, not patched: of a list that others write, this one entry is ours.
  await parts.api.apply(kinds.machine, wanted, { fieldManager, force: true, subresource: 'status' });
  parts.events.record(given.request, { type: 'Warning', reason: reasons.givenUp, action: 'Remediate', note: why });
  parts.log.warn('remediation given up', { machine: `${namespace}/${name}`, remediation: keyOf(request), why });
  return {};
};
