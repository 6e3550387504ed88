/** The settings of the Cluster API provider inside the daemon; `remuda controller` has the same as options. */
import { z } from 'zod';
import { limits } from '../limits.ts';
import { ipv4 } from './parsed.ts';

const namespaceName = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'the name of a namespace');
const poolName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, 'the name of a pool');
/** Which pools of hosts machines of a namespace may claim from; `*` is every namespace that is not named. */
export const poolsSchema = z
  .record(z.union([namespaceName, z.literal('*')]), z.array(poolName).max(64))
  .refine((pools) => Object.keys(pools).length <= 1_000, 'at most 1000 namespaces');

export const kubernetesSchema = z.strictObject({
  /** How the API server is reached; `in-cluster` where the daemon runs in a pod. */
  kubeconfig: z.union([z.string().startsWith('/'), z.literal('in-cluster')]),
  /** Of the kubeconfig; its current one when left out. */
  context: z.string().min(1).max(253).exactOptional(),
  /** Only machines of this namespace. */
  namespace: namespaceName.exactOptional(),
  /** Only objects whose label `cluster.x-k8s.io/watch-filter` has this value. */
  watchFilter: z.string().min(1).max(63).exactOptional(),
  pools: poolsSchema.default({ '*': ['default'] }),
  /** The host of a deleted machine is kept so long for the machine that follows it. */
  reuseSeconds: z.number().int().min(0).max(limits.reserveSecondsMax).default(3600),
  /** Where the Lease stands by which several controllers agree on one; false: there is only this one. */
  leaderElection: z.union([z.literal(false), z.strictObject({ namespace: namespaceName.default('remuda-system') })]).prefault({}),
  /** Where Cluster API asks for in-place updates (TLS, by a certificate made for this address and kept): an address that its managers reach. */
  extension: z.strictObject({ address: ipv4, port: z.number().int().min(1).max(65_535).default(7444) }).exactOptional(),
});
export type KubernetesConfig = z.output<typeof kubernetesSchema>;
