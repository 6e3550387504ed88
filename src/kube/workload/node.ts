/** The Node of a machine, in its workload cluster: found by its provider ID, cordoned, deleted, adopted where nobody gave it an ID. */
import { z } from 'zod';
import { RemudaError } from '../../errors.ts';
import type { KubeApi } from '../api.ts';
import { fieldManager } from '../names.ts';
import { keyOf, kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';

const nodeShape = z.object({
  spec: z.object({ providerID: z.string().optional(), unschedulable: z.boolean().optional() }).default({}),
  status: z
    .object({
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      nodeInfo: z.object({ kubeletVersion: z.string().default(''), bootID: z.string().default('') }).optional(),
    })
    .default({ conditions: [] }),
});
/** What we read of a Node. */
export interface NodeView {
  readonly key: Key;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Empty: nobody has said it yet. */
  readonly providerId: string;
  readonly unschedulable: boolean;
  /** `Unknown`: its kubelet is not heard of. */
  readonly ready: 'True' | 'False' | 'Unknown';
  /** `v1.34.4`; empty where the kubelet has not told it yet. */
  readonly kubeletVersion: string;
  /** Another one after each boot of the host. */
  readonly bootId: string;
}
/** Throws `kube-failed` where the API server gave what is no Node. */
export const nodeView = (object: KubeObject): NodeView => {
  const read = nodeShape.safeParse(object);
  if (!read.success)
    throw new RemudaError('kube-failed', `read Node ${object.metadata.name}: ${z.prettifyError(read.error)}`, { cause: read.error });
  const { spec, status } = read.data;
  const ready = status.conditions.find(({ type }) => type === 'Ready')?.status;
  return {
    key: keyOf(object),
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    resourceVersion: object.metadata.resourceVersion ?? '',
    providerId: spec.providerID ?? '',
    unschedulable: spec.unschedulable === true,
    ready: ready === 'True' || ready === 'False' ? ready : 'Unknown',
    kubeletVersion: status.nodeInfo?.kubeletVersion ?? '',
    bootId: status.nodeInfo?.bootID ?? '',
  };
};

/** Whose Node is looked for. */
export interface NodeWanted {
  readonly providerId: string;
  /** What the Node may be called, likeliest first: `Machine.status.nodeRef`, the host name of the claim. */
  readonly names: readonly string[];
}
/**
 * The Node with this provider ID, else one of the names without any. Throws `conflict` where two Nodes have the ID, or where the name
 * belongs to another provider ID: Cluster API would not know them apart either.
 */
export const findNode = async (api: KubeApi, { providerId, names }: NodeWanted): Promise<NodeView | undefined> => {
  const [likely] = names;
  if (likely !== undefined) {
    const found = await api.get(kinds.node, `/${likely}`);
    const view = found === undefined ? undefined : nodeView(found);
    if (view?.providerId === providerId) return view;
  }
  const { items } = await api.list(kinds.node);
  const views = items.map(nodeView);
  const same = views.filter((view) => view.providerId === providerId);
  if (same.length > 1)
    throw new RemudaError(
      'conflict',
      `find the Node with provider ID ${providerId}: ${same.map(({ name }) => name).join(' and ')} both have it; delete the one that is no more`,
    );
  if (same[0] !== undefined) return same[0];
  const named = names.map((name) => views.find((view) => view.name === name)).find((view) => view !== undefined);
  if (named !== undefined && named.providerId !== '')
    throw new RemudaError(
      'conflict',
      `find the Node with provider ID ${providerId}: Node ${named.name} has ${named.providerId}; delete it, or give the machine another host name`,
    );
  return named;
};
/**
 * Gives a Node that has none its provider ID: for clusters without a cloud controller manager whose kubelet was not told it.
 * The API server allows it once (`spec.providerID` from empty to a value).
 */
export const adoptNode = async (api: KubeApi, node: NodeView, providerId: string): Promise<NodeView> => {
  if (node.providerId === providerId) return node;
  const { key, uid, resourceVersion } = node;
  return nodeView(await api.patch(kinds.node, key, { spec: { providerID: providerId } }, { fieldManager, uid, resourceVersion }));
};
/** No new pods come to it; with `on` false they may again. */
export const cordon = async (api: KubeApi, node: NodeView, on: boolean): Promise<void> => {
  if (node.unschedulable === on) return;
  await api.patch(kinds.node, node.key, { spec: { unschedulable: on ? true : null } }, { fieldManager, uid: node.uid });
};
/** This very Node as it was read, and none that came after it (409). */
export const dropNode = async (api: KubeApi, { key, uid, resourceVersion }: NodeView): Promise<void> =>
  await api.delete(kinds.node, key, { uid, resourceVersion });
