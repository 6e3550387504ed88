/** BareMetalRemediation: a MachineHealthCheck found a machine unhealthy; it is helped, try by try, before its owner replaces it. */
import { reasonOf } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Reconciler, Result, Tools, Watch } from '../controller.ts';
import { capi, conditionTypes, fieldManager, finalizers, reasons } from '../names.ts';
import { keyOf, kinds, splitKey } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import { conditionOf } from '../runtime/conditions.ts';
import { remediationSpec, remediationStatus } from '../schema/bare-metal.ts';
import { claimedHost } from '../update/reimage.ts';
import type { ReimageParts } from '../update/reimage.ts';
import { readSubject } from '../update/subject.ts';
import type { Subject } from '../update/subject.ts';
import type { Workload } from '../workload/access.ts';
import { inTime, lookAgain, say, tidied } from './case.ts';
import type { Case, Host } from './case.ts';
import { nextTry } from './next-try.ts';
import type { Next } from './next-try.ts';
import { giveUp, power, reboot, reimage, reimageOn } from './tries.ts';

/** The kinds of our own that its reconciler needs watched. */
export const remediationWatches: readonly Watch[] = [{ kind: kinds.bareMetalRemediation }];

const act = async (on: Case, next: Next, subject: Subject, host: Host): Promise<Result> => {
  if (next.do === 'reboot') return await reboot(on, host);
  if (next.do === 'reboot-again') return await power(on, host, next.leftMs);
  if (next.do === 'reimage') return await reimage(on, subject, host);
  if (next.do === 'reimage-on') return await reimageOn(on, subject, host);
  if (next.do === 'give-up')
    return await giveUp(on, subject.machine, `${on.status.reboots ?? 0} reboots and ${on.status.reimages ?? 0} new images did not help`);
  await say(on, { phase: 'Waiting' }, reasons.waitingForHealth, `waiting for the machine on host ${host.name} to be healthy`);
  return inTime(next.leftMs);
};
const help = async (on: Case, subject: Subject): Promise<Result> => {
  const { parts, request, spec, status } = on;
  const host = await claimedHost(parts.metal, subject);
  if (typeof host === 'string') return await giveUp(on, subject.machine, host);
  if (host.held !== null) {
    await say(on, {}, reasons.hostHeld, `host ${host.name} is held by ${host.held.by}: ${host.held.why}`);
    return lookAgain;
  }
  const reason = conditionOf(request, conditionTypes.ready)?.reason;
  const next = nextTry({
    spec,
    status,
    canReboot: host.state === 'provisioned',
    canReimage: !subject.isControlPlane && (host.state === 'provisioned' || host.state === 'provisioning'),
    rebootFailed: reason === reasons.rebootFailed,
    isLost: reason === reasons.reimageFailed && status.phase === 'Reimaging',
    nowMs: parts.world.clock.now(),
  });
  return await act(on, next, subject, host);
};

const machineOf = (request: KubeObject): Key => {
  const { name, namespace = '', ownerReferences = [] } = request.metadata;
  return `${namespace}/${ownerReferences.find(({ kind }) => kind === 'Machine')?.name ?? name}`;
};
/** With our finalizer, or without it; refused where the object changed since it was read. */
const finalized = async (on: Case, wanted: boolean): Promise<Case> => {
  const { parts, request } = on;
  const { finalizers: known = [], uid = '', resourceVersion = '' } = request.metadata;
  if (known.includes(finalizers.remediation) === wanted) return on;
  const others = known.filter((one) => one !== finalizers.remediation);
  const patch = { metadata: { finalizers: wanted ? [...others, finalizers.remediation] : others } };
  const now = await parts.api.patch(kinds.bareMetalRemediation, keyOf(request), patch, { fieldManager, uid, resourceVersion });
  return { ...on, request: now };
};
/** Its machine is healthy, or gone. What a try left must not outlive it; but a cluster that cannot be reached holds nothing up for ever. */
const ended = async (on: Case): Promise<Result> => {
  const { parts, request } = on;
  try {
    await tidied(on, machineOf(request));
  } catch (error) {
    const since = Date.parse(request.metadata.deletionTimestamp ?? '');
    if (parts.world.clock.now() - since < limits.kubeTidyMs) throw error;
    parts.log.warn('what a remediation left could not be taken away', { remediation: keyOf(request), error: reasonOf(error) });
  }
  await finalized(on, false);
  return {};
};
const reconcile = async (parts: ReimageParts & Tools, key: Key): Promise<Result> => {
  const request = await parts.api.get(kinds.bareMetalRemediation, key);
  if (request === undefined) return {};
  const spec = remediationSpec.safeParse(request.spec ?? {});
  const status = remediationStatus.safeParse(request.status ?? {});
  const on: Case = { parts, request, spec: spec.data ?? remediationSpec.parse({}), status: status.data ?? {} };
  const { annotations = {}, deletionTimestamp } = request.metadata;
  if (annotations[capi.deleteForMove] !== undefined) return {};
  if (deletionTimestamp !== undefined) return await ended(on);
  const found = await readSubject(parts.api, machineOf(request));
  if (found.is === 'not-now' || annotations[capi.paused] !== undefined) {
    const why = found.is === 'not-now' ? found.why : `BareMetalRemediation ${key} is paused`;
    await say(on, {}, reasons.paused, `nothing is done while ${why}`);
    return lookAgain;
  }
  if (!spec.success) {
    await say(on, {}, reasons.invalid, spec.error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; '));
    return {};
  }
  if (found.is === 'found' && found.subject.isMarked) {
    await say(on, {}, reasons.updating, `nothing is done while Machine ${found.subject.key} is updated in place`);
    return lookAgain;
  }
  if (found.is === 'not-ours') {
    const machine = await parts.api.get(kinds.machine, machineOf(request));
    return machine === undefined ? {} : await giveUp(on, machine, found.why);
  }
  return await help(await finalized(on, true), found.subject);
};

/** To be run beside the other reconcilers; it wants the watches of `remediationWatches` and of Machines. */
export const remediationReconcilers = (tools: Tools, { workload }: { readonly workload: Workload }): readonly Reconciler[] => {
  const parts = { ...tools, workload };
  return [
    {
      kind: kinds.bareMetalRemediation,
      also: [
        {
          kind: kinds.machine,
          keys: (machine, cache) => {
            const { namespace } = splitKey(keyOf(machine));
            const all = cache.list(kinds.bareMetalRemediation, namespace);
            return all.filter((request) => machineOf(request) === keyOf(machine)).map((request) => keyOf(request));
          },
        },
      ],
      reconcile: (key) => reconcile(parts, key),
    },
  ];
};
