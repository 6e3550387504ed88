/** A machine whose host is to be helped or imaged again, read fresh from the API server with all that may forbid it. */
import { z } from 'zod';
import type { KubeApi } from '../api.ts';
import { ownerOf } from '../machine/wish.ts';
import { capi, infraGroup, providerIdOf } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';
import { machineSpec } from '../schema/bare-metal.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';

const machineShape = z.object({
  spec: z.object({
    clusterName: z.string().min(1),
    version: z.string().optional(),
    bootstrap: z.object({ dataSecretName: z.string().optional() }).default({}),
    infrastructureRef: z.object({ apiGroup: z.string(), kind: z.string(), name: z.string().min(1) }),
    deletion: z.object({ nodeDrainTimeoutSeconds: z.number().optional() }).default({}),
  }),
  status: z.object({ nodeRef: z.object({ name: z.string().optional() }).optional() }).default({}),
});
const clusterShape = z.object({ spec: z.object({ paused: z.boolean().optional() }).default({}) });

export interface Subject {
  readonly key: Key;
  readonly machine: KubeObject;
  readonly infra: KubeObject;
  readonly infraKey: Key;
  readonly cluster: Key;
  readonly spec: MachineSpec;
  readonly claimId: string;
  /** As whom the claim was made. */
  readonly owner: string;
  readonly providerId: string;
  readonly version: string | undefined;
  readonly bootstrapSecret: string | undefined;
  /** undefined: a drain may take as long as it takes. */
  readonly drainTimeoutMs: number | undefined;
  readonly nodeName: string | undefined;
  readonly isControlPlane: boolean;
  /** Cluster API has told us to update it, and not taken it back. */
  readonly isUpdating: boolean;
  /** It has at least begun to: nobody else helps the machine meanwhile. */
  readonly isMarked: boolean;
}
export type Found =
  | { readonly is: 'found'; readonly subject: Subject }
  /** Nothing may be touched now: paused, moved, being deleted. */
  | { readonly is: 'not-now'; readonly why: string }
  /** It is none of ours, or has no host. */
  | { readonly is: 'not-ours'; readonly why: string };

const isPaused = ({ metadata }: KubeObject): boolean => metadata.annotations?.[capi.paused] !== undefined;
const notNow = (objects: readonly (readonly [string, KubeObject])[]): string | undefined => {
  for (const [what, object] of objects) {
    if (object.metadata.annotations?.[capi.deleteForMove] !== undefined) return `${what} is being moved to another cluster`;
    if (object.metadata.deletionTimestamp !== undefined) return `${what} is being deleted`;
    if (isPaused(object)) return `${what} is paused`;
  }
  return undefined;
};
/** The Machine of this key, its BareMetalMachine and its Cluster. Reads only. */
export const readSubject = async (api: KubeApi, key: Key): Promise<Found> => {
  const machine = await api.get(kinds.machine, key);
  if (machine === undefined) return { is: 'not-ours', why: `there is no Machine ${key}` };
  const read = machineShape.safeParse(machine);
  if (!read.success) return { is: 'not-ours', why: `Machine ${key} has no infrastructure of ours` };
  const { spec, status } = read.data;
  const { apiGroup, kind, name } = spec.infrastructureRef;
  if (apiGroup !== infraGroup || kind !== kinds.bareMetalMachine.kind)
    return { is: 'not-ours', why: `Machine ${key} runs on a ${kind}, not on a BareMetalMachine` };
  const namespace = machine.metadata.namespace ?? '';
  const cluster: Key = `${namespace}/${spec.clusterName}`;
  const [infra, owner] = await Promise.all([api.get(kinds.bareMetalMachine, `${namespace}/${name}`), api.get(kinds.cluster, cluster)]);
  if (infra === undefined) return { is: 'not-ours', why: `there is no BareMetalMachine ${namespace}/${name}` };
  if (owner === undefined) return { is: 'not-now', why: `Cluster ${cluster} is not there` };
  const why =
    clusterShape.safeParse(owner).data?.spec.paused === true
      ? `Cluster ${cluster} is paused`
      : notNow([
          [`Cluster ${cluster}`, owner],
          [`Machine ${key}`, machine],
          [`BareMetalMachine ${namespace}/${name}`, infra],
        ]);
  if (why !== undefined) return { is: 'not-now', why };
  const wanted = machineSpec.safeParse(infra.spec);
  const claimId = wanted.data?.claimID;
  if (!wanted.success || claimId === undefined) return { is: 'not-ours', why: `BareMetalMachine ${namespace}/${name} has claimed no host` };
  const labels = machine.metadata.labels ?? {};
  const marks = [machine, infra].map(({ metadata }) => metadata.annotations?.[capi.updateInProgress]);
  const drainSeconds = spec.deletion.nodeDrainTimeoutSeconds ?? 0;
  return {
    is: 'found',
    subject: {
      key,
      machine,
      infra,
      infraKey: `${namespace}/${name}`,
      cluster,
      spec: wanted.data,
      claimId,
      owner: ownerOf(namespace, machine.metadata.name),
      providerId: wanted.data.providerID ?? providerIdOf(claimId),
      version: spec.version,
      bootstrapSecret: spec.bootstrap.dataSecretName,
      drainTimeoutMs: drainSeconds > 0 ? drainSeconds * 1000 : undefined,
      nodeName: status.nodeRef?.name,
      isControlPlane: labels[capi.controlPlane] !== undefined || labels[capi.controlPlaneName] !== undefined,
      isUpdating: marks.every((mark) => mark !== undefined),
      isMarked: marks.some((mark) => mark !== undefined),
    },
  };
};
