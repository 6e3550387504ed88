/** The controllers of machines and their templates: which objects they read, what wakes them, and one look and one step at a time. */
import { z } from 'zod';
import type { Reconciler, Tools, Watch } from '../controller.ts';
import { capi } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { Key, Kind, KubeObject } from '../objects.ts';
import { bareMetal } from './adapter.ts';
import type { MachineAdapter } from './adapter.ts';
import { act } from './hands.ts';
import { lookAt } from './look.ts';
import { quietOf } from './show.ts';
import { templateReconciler } from './template.ts';

const idShape = z.object({ claimID: z.string().optional(), providerID: z.string().optional() });
/** By which machines are found again: their cluster, their claim, and whether they wait for a host. */
export const machineIndex =
  (adapter: Pick<MachineAdapter, 'claimIdFor'>) =>
  (object: KubeObject): Readonly<Record<string, readonly string[]>> => {
    const { labels = {}, namespace = '' } = object.metadata;
    const cluster = labels[capi.clusterName];
    const ids = idShape.safeParse(object.spec ?? {}).data;
    return {
      cluster: cluster === undefined ? [] : [`${namespace}/${cluster}`],
      claim: [ids?.claimID ?? adapter.claimIdFor(object)],
      waiting: ids?.claimID !== undefined && ids.providerID === undefined ? ['yes'] : [],
    };
  };
export const machineWatches: readonly Watch[] = [
  { kind: kinds.bareMetalMachine, index: machineIndex(bareMetal) },
  { kind: kinds.bareMetalMachineTemplate },
  { kind: kinds.bareMetalCluster },
  { kind: kinds.machine },
  { kind: kinds.cluster },
];

const refShape = z.object({ infrastructureRef: z.object({ kind: z.string(), name: z.string() }) });
/** The object that a Machine or Cluster refers to, where it is of this kind. */
export const referred =
  (kind: Kind) =>
  (object: KubeObject): readonly Key[] => {
    const ref = refShape.safeParse(object.spec ?? {}).data?.infrastructureRef;
    return ref?.kind === kind.kind ? [`${object.metadata.namespace ?? ''}/${ref.name}`] : [];
  };
/** The controller of one kind of machine. */
export const machineReconciler = (tools: Tools, adapter: MachineAdapter): Reconciler => {
  const hands = { tools, adapter, quiet: quietOf(tools) };
  return {
    kind: adapter.kind,
    also: [
      { kind: kinds.machine, keys: referred(adapter.kind) },
      { kind: kinds.cluster, keys: (cluster, cache) => cache.by(adapter.kind, 'cluster', keyOf(cluster)).map(keyOf) },
    ],
    async reconcile(key) {
      const seen = await lookAt(tools, adapter, key, (kind, of) => Promise.resolve(tools.cache.get(kind, of)));
      return seen === undefined ? {} : act(hands, seen);
    },
  };
};
export const machineReconcilers = (tools: Tools): readonly Reconciler[] => [machineReconciler(tools, bareMetal), templateReconciler(tools)];
