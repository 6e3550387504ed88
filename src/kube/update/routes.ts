/** The runtime extension that Cluster API calls over HTTPS: five hooks, each answered with status 200 and soon, whatever goes wrong inside. */
import { z } from 'zod';
import { reasonOf } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Clock, HttpReply, HttpRequest, Route } from '../../world/world.ts';
import type { Key } from '../objects.ts';
import { decide, questionOf } from './decide.ts';
import type { Decision } from './decide.ts';
import {
  answerOf,
  canUpdateMachineRequest,
  canUpdateMachineSetRequest,
  discovery,
  discoveryRequest,
  failure,
  handlers,
  mergePatchOf,
  pathOf,
  success,
  updateMachineRequest,
  upgradePlanRequest,
} from './hook.ts';
import type { Handler, Outcome, Patch } from './hook.ts';
import type { Progress } from './reimage.ts';
import { tellNoPlan, tellStopped } from './stopped.ts';
import type { StoppedParts } from './stopped.ts';
import { updateMachine } from './update-machine.ts';
import type { UpdateParts } from './update-machine.ts';
import { upgradePlan } from './upgrade-plan.ts';

const reply = (body: string): HttpReply => ({ status: 200, headers: { 'content-type': 'application/json' }, body });
/** One hook: its body is checked, and what is thrown becomes a Failure that says it. */
const hookRoute = <T>(
  log: UpdateParts['log'],
  { hook, name }: Pick<Handler, 'hook'> & { readonly name?: string },
  schema: z.ZodType<T>,
  answer: (request: T) => Promise<object> | object,
): Route => ({
  method: 'POST',
  path: pathOf(hook, name),
  bodyBytesMax: limits.kubeHookBytes,
  handle: async ({ body }: HttpRequest): Promise<HttpReply> => {
    const refused = (message: string): HttpReply =>
      reply(
        answerOf(hook, { ...failure(message.slice(0, 2_000)), ...(hook === handlers.updateMachine.hook ? { retryAfterSeconds: 0 } : {}) }),
      );
    let said: unknown;
    try {
      said = JSON.parse(Buffer.from(body).toString('utf8'));
    } catch {
      return refused(`the body of the ${hook} request is no JSON`);
    }
    const request = schema.safeParse(said);
    if (!request.success) return refused(`the ${hook} request is not understood: ${z.prettifyError(request.error)}`);
    try {
      return reply(answerOf(hook, await answer(request.data)));
    } catch (error) {
      log.warn('hook failed', { hook, error: reasonOf(error) });
      return refused(reasonOf(error));
    }
  },
});

/** The three patches of an answer; without any of them Cluster API replaces the machine. */
const decided = (decision: Decision, wrap: (spec: object) => object): Outcome & { readonly patches: Readonly<Record<string, Patch>> } => {
  if (!decision.can && decision.stops)
    return { ...failure(`in-place update not possible, and the rollout is to stop: ${decision.why}`), patches: {} };
  if (!decision.can) return { ...success(`in-place update not possible: ${decision.why}`), patches: {} };
  const patches = Object.entries(decision.patches).map(([what, spec]) => [what, mergePatchOf({ spec: wrap(spec) })] as const);
  return { ...success(), patches: Object.fromEntries(patches) };
};
const canAnswer = ({ patches, ...outcome }: ReturnType<typeof decided>, names: Readonly<Record<string, string>>): object => ({
  ...outcome,
  ...Object.fromEntries(Object.entries(names).flatMap(([what, name]) => (patches[what] === undefined ? [] : [[name, patches[what]]]))),
});
type RouteParts = UpdateParts & StoppedParts;
const canUpdateMachine =
  (parts: RouteParts) =>
  async ({ current, desired }: z.infer<typeof canUpdateMachineRequest>): Promise<object> => {
    const side = (of: typeof current) => ({ machine: of.machine, infra: of.infrastructureMachine, bootstrap: of.bootstrapConfig });
    const decision = decide(questionOf(side(current), side(desired), { catalogue: await parts.metal.images(), template: false }));
    if (!decision.can && decision.stops) await tellStopped(parts, desired.machine, decision.why);
    const names = { machine: 'machinePatch', infra: 'infrastructureMachinePatch', bootstrap: 'bootstrapConfigPatch' };
    return canAnswer(
      decided(decision, (spec) => spec),
      names,
    );
  };
const canUpdateMachineSet =
  (parts: RouteParts) =>
  async ({ current, desired }: z.infer<typeof canUpdateMachineSetRequest>): Promise<object> => {
    const side = (of: typeof current) => ({
      machine: of.machineSet,
      infra: of.infrastructureMachineTemplate,
      bootstrap: of.bootstrapConfigTemplate,
    });
    const decision = decide(questionOf(side(current), side(desired), { catalogue: await parts.metal.images(), template: true }));
    if (!decision.can && decision.stops) await tellStopped(parts, desired.machineSet, decision.why);
    const names = { machine: 'machineSetPatch', infra: 'infrastructureMachineTemplatePatch', bootstrap: 'bootstrapConfigTemplatePatch' };
    return canAnswer(
      decided(decision, (spec) => ({ template: { spec } })),
      names,
    );
  };

const progressed = (progress: Progress): object => {
  if (progress.is === 'failed') return { ...failure(progress.message), retryAfterSeconds: 0 };
  return { ...success(progress.message), retryAfterSeconds: progress.is === 'done' ? 0 : limits.kubeHookRetrySeconds };
};
/**
 * Answers by `limits.kubeHookMs`: a step that takes longer goes on behind the answer, and until it ends the next call only hears so.
 * What the outside does wrong on the way is told as progress: Cluster API shows it, and asks again.
 */
const patiently = (clock: Clock, step: (key: Key) => Promise<Progress>): ((key: Key) => Promise<Progress>) => {
  const busy = new Set<Key>();
  const still: Progress = { is: 'going', message: 'the step before is still at work' };
  const run = async (key: Key): Promise<Progress> => {
    try {
      return await step(key);
    } catch (error) {
      return { is: 'going', message: `will be tried again: ${reasonOf(error)}` };
    } finally {
      busy.delete(key);
    }
  };
  return async (key) => {
    if (busy.has(key)) return still;
    busy.add(key);
    return await new Promise((resolve) => {
      const cancel = clock.after(limits.kubeHookMs, () => resolve(still));
      // oxlint-disable-next-line promise/prefer-await-to-then -- run() never rejects, and goes on when the clock was first
      void run(key).then((progress) => {
        cancel();
        resolve(progress);
      });
    });
  };
};

/**
 * The routes of the extension, to be served over TLS where the managers of Cluster API can reach them (`ExtensionConfig`). They tell
 * nothing and change nothing but what the API server's own objects ask for; who may call them is the listener's business.
 */
export const updateRoutes = (parts: RouteParts): readonly Route[] => {
  const { log, metal, world } = parts;
  const step = patiently(world.clock, (key) => updateMachine(parts, key));
  return [
    hookRoute(log, { hook: 'Discovery' }, discoveryRequest, discovery),
    hookRoute(log, handlers.canUpdateMachine, canUpdateMachineRequest, canUpdateMachine(parts)),
    hookRoute(log, handlers.canUpdateMachineSet, canUpdateMachineSetRequest, canUpdateMachineSet(parts)),
    hookRoute(log, handlers.updateMachine, updateMachineRequest, async ({ desired: { machine } }) => {
      const { namespace, name } = machine.metadata;
      return progressed(await step(`${namespace}/${name}`));
    }),
    hookRoute(log, handlers.upgradePlan, upgradePlanRequest, async (request) => {
      const plan = upgradePlan(request.fromControlPlaneKubernetesVersion, request.toKubernetesVersion, await metal.images());
      if ('refused' in plan) {
        if (request.cluster) await tellNoPlan(parts, request.cluster, plan.refused);
        return failure(plan.refused);
      }
      return { ...success(), controlPlaneUpgrades: plan.steps.map((version) => ({ version })) };
    }),
  ];
};
