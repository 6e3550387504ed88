/** The messages of Cluster API's Runtime SDK that we take part in (api/runtime/hooks/v1alpha1), exactly as its Go types write them. */
import { z } from 'zod';

/** Group and version of every hook. */
export const hookApi = 'hooks.runtime.cluster.x-k8s.io/v1alpha1';

const words = z.record(z.string(), z.string()).optional();
const meta = z.object({
  name: z.string().max(253).default(''),
  namespace: z.string().max(63).default(''),
  labels: words,
  annotations: words,
});
/** Any object of a request: no status, and a spec that is checked by whoever knows the kind. */
const sent = z.object({
  apiVersion: z.string().max(316).default(''),
  kind: z.string().max(63).default(''),
  metadata: meta.default({ name: '', namespace: '' }),
  spec: z.record(z.string(), z.unknown()).default({}),
});
export type Sent = z.infer<typeof sent>;
// Go leaves an empty RawExtension out, or says null.
const maybe = sent.nullish();

const ofMachine = z.object({ machine: sent, infrastructureMachine: sent, bootstrapConfig: maybe });
const ofSet = z.object({ machineSet: sent, infrastructureMachineTemplate: sent, bootstrapConfigTemplate: maybe });
const requestOf = <Shape extends z.ZodRawShape>(hook: string, shape: Shape) =>
  z.object({ apiVersion: z.literal(hookApi), kind: z.literal(`${hook}Request`), ...shape });

export const discoveryRequest = requestOf('Discovery', {});
export const canUpdateMachineRequest = requestOf('CanUpdateMachine', { current: ofMachine, desired: ofMachine });
export const canUpdateMachineSetRequest = requestOf('CanUpdateMachineSet', { current: ofSet, desired: ofSet });
export const updateMachineRequest = requestOf('UpdateMachine', { desired: ofMachine });
export type UpdateMachineRequest = z.infer<typeof updateMachineRequest>;
const version = z.string().min(1).max(64);
export const upgradePlanRequest = requestOf('GenerateUpgradePlan', {
  cluster: maybe,
  fromControlPlaneKubernetesVersion: version,
  toKubernetesVersion: version,
});

/** `CommonResponse`; an empty message is left out, as Go's `omitempty` does. */
export interface Outcome {
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
}
export const success = (message?: string): Outcome => (message === undefined ? { status: 'Success' } : { status: 'Success', message });
export const failure = (message: string): Outcome => ({ status: 'Failure', message });

/** `Patch`: Go's []byte is base64 in JSON. */
export interface Patch {
  readonly patchType: 'JSONMergePatch';
  readonly patch: string;
}
export const mergePatchOf = (document: unknown): Patch => ({
  patchType: 'JSONMergePatch',
  patch: Buffer.from(JSON.stringify(document)).toString('base64'),
});
/** The body of an answer: always with HTTP status 200, failure is said inside. */
export const answerOf = (hook: string, fields: object): string =>
  JSON.stringify({ apiVersion: hookApi, kind: `${hook}Response`, ...fields });

/** How a handler is told of in Discovery; its name is a DNS label. */
export interface Handler {
  readonly name: string;
  readonly hook: string;
  readonly timeoutSeconds: number;
}
// Longer than limits.kubeHookMs, by which each of them has answered.
export const handlers = {
  canUpdateMachine: { name: 'remuda-can-update-machine', hook: 'CanUpdateMachine', timeoutSeconds: 15 },
  canUpdateMachineSet: { name: 'remuda-can-update-machineset', hook: 'CanUpdateMachineSet', timeoutSeconds: 15 },
  updateMachine: { name: 'remuda-update-machine', hook: 'UpdateMachine', timeoutSeconds: 15 },
  upgradePlan: { name: 'remuda-upgrade-plan', hook: 'GenerateUpgradePlan', timeoutSeconds: 15 },
} as const satisfies Record<string, Handler>;
export const discovery = (): object => ({
  ...success(),
  handlers: Object.values(handlers).map(({ name, hook, timeoutSeconds }) => ({
    name,
    requestHook: { apiVersion: hookApi, hook },
    timeoutSeconds,
    failurePolicy: 'Fail',
  })),
});
/** `GVHToPath` (api/runtime/catalog): where Cluster API calls a hook. */
export const pathOf = (hook: string, name?: string): string => `/${hookApi}/${hook.toLowerCase()}${name === undefined ? '' : `/${name}`}`;
