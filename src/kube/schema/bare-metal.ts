/** BareMetalCluster, BareMetalMachine and their templates (v1beta2): one definition for the CRDs and for our own code. */
import { z } from 'zod';
import {
  address,
  addressFromPool,
  conditions,
  diskRule,
  endpoint,
  hostSelector,
  initialization,
  labelMap,
  placement,
  providerId,
  quantity,
  templateMeta,
} from './fields.ts';

export const machineSpec = z.object({
  /** `remuda://<claim ID>`; written by the controller. */
  providerID: providerId.optional(),
  /** Under which a host is claimed; written by the controller before any metal is touched, and kept for ever: by it a moved or restored machine finds its host. */
  claimID: z.string().min(1).max(128).optional(),
  /** Name or digest (`sha256:…`) of an image in the rack's catalogue. */
  image: z.string().min(1).max(128),
  /** Of the OS, and so of the Node; the Machine's name when absent. */
  hostName: z.string().min(1).max(253).optional(),
  /** This very host, by name or ID. */
  host: z.string().min(1).max(64).optional(),
  hostSelector: hostSelector.optional(),
  disk: diskRule.optional(),
  placement: placement.optional(),
  /** The host that the machine before it had: `Prefer` it, `Wait` while it is being cleaned, or `None`. */
  nodeReuse: z.enum(['None', 'Prefer', 'Wait']).optional(),
  /** A host that is not provisioned by then makes the machine `Ready=False`, reason `ProvisioningTimedOut`. */
  provisionTimeoutSeconds: z.int32().min(60).max(604_800).optional(),
  addressesFromPools: z.array(addressFromPool).max(8).optional(),
  /** When a changed machine cannot be updated in place: `Replace` it (Cluster API's own way), or `Stop` the rollout. */
  whenNotInPlace: z.enum(['Replace', 'Stop']).optional(),
});
export type MachineSpec = z.infer<typeof machineSpec>;

export const machineStatus = z.object({
  initialization: initialization.optional(),
  addresses: z.array(address).max(128).optional(),
  failureDomain: z.string().min(1).max(256).optional(),
  conditions: conditions.optional(),
  /** The host, for people. */
  host: z.object({ name: z.string().max(64), id: z.string().max(64), state: z.string().max(32), power: z.string().max(16) }).optional(),
  /** Generation of the claim: each re-image is the next one. */
  claimGeneration: z.int32().min(0).optional(),
  /** Digest of the image that was read back from the disk. */
  imageDigest: z.string().max(128).optional(),
  observedGeneration: z.number().int().min(0).meta({ format: 'int64' }).optional(),
});
export type MachineStatus = z.infer<typeof machineStatus>;

export const machineTemplateSpec = z.object({ template: z.object({ metadata: templateMeta.optional(), spec: machineSpec }) });
export type MachineTemplateSpec = z.infer<typeof machineTemplateSpec>;
/** For the autoscaler's scaling from zero: what the smallest host that fits the template has. */
export const machineTemplateStatus = z.object({
  capacity: z.record(z.string().max(317), quantity).optional(),
  nodeInfo: z
    .object({ architecture: z.enum(['amd64', 'arm64', 's390x', 'ppc64le']).optional(), operatingSystem: z.string().max(32).optional() })
    .optional(),
});

export const clusterSpec = z.object({
  controlPlaneEndpoint: endpoint.optional(),
  /** Where the endpoint's address is taken from when the user names none: Cluster API's IPAM contract. */
  endpointFromPool: z
    .object({
      pool: z.object({ apiGroup: z.string().min(1).max(253), kind: z.string().min(1).max(63), name: z.string().min(1).max(253) }),
      port: z.int32().min(1).max(65_535).default(6443),
    })
    .optional(),
  /** What tells the failure domain of a host: its own `failureDomain`, its `rack`, or a label; `None`: no domains are published. */
  failureDomainBy: z.string().min(1).max(317).optional(),
});
export type ClusterSpec = z.infer<typeof clusterSpec>;
export const clusterStatus = z.object({
  initialization: initialization.optional(),
  failureDomains: z
    .array(z.object({ name: z.string().min(1).max(256), controlPlane: z.boolean().optional(), attributes: labelMap.optional() }))
    .max(100)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional(),
  conditions: conditions.optional(),
  observedGeneration: z.number().int().min(0).meta({ format: 'int64' }).optional(),
});
export type ClusterStatus = z.infer<typeof clusterStatus>;
export const clusterTemplateSpec = z.object({ template: z.object({ metadata: templateMeta.optional(), spec: clusterSpec }) });

/** How an unhealthy machine is helped before it is replaced. */
export const remediationSpec = z.object({
  /** In this order, each as often as its number says; then the machine's owner replaces it. */
  strategy: z.enum(['Reboot', 'Reimage', 'RebootThenReimage']).default('RebootThenReimage'),
  reboots: z.int32().min(0).max(10).default(1),
  reimages: z.int32().min(0).max(10).default(1),
  /** How long each try may take until the machine is healthy. */
  timeoutSeconds: z.int32().min(30).max(86_400).default(600),
});
export type RemediationSpec = z.infer<typeof remediationSpec>;
export const remediationStatus = z.object({
  phase: z.enum(['Waiting', 'Rebooting', 'Reimaging', 'GivenUp']).optional(),
  reboots: z.int32().min(0).optional(),
  reimages: z.int32().min(0).optional(),
  lastTryAt: z.string().meta({ format: 'date-time' }).optional(),
  conditions: conditions.optional(),
});
export type RemediationStatus = z.infer<typeof remediationStatus>;
export const remediationTemplateSpec = z.object({ template: z.object({ metadata: templateMeta.optional(), spec: remediationSpec }) });

/** The rack as kubectl sees it. Status only: whoever wants to change a host asks the daemon. */
export const rackHostStatus = z.object({
  id: z.string().max(64),
  state: z.string().max(32),
  power: z.string().max(16),
  doing: z.string().max(2048),
  held: z.string().max(1024).optional(),
  failed: z.string().max(2048).optional(),
  pool: z.string().max(64),
  rack: z.string().max(64).optional(),
  unit: z.int32().optional(),
  failureDomain: z.string().max(256).optional(),
  labels: labelMap.optional(),
  macs: z.array(z.string().max(17)).max(64).optional(),
  bmc: z.string().max(512).optional(),
  hardware: z
    .object({
      vendor: z.string().max(256).optional(),
      model: z.string().max(256).optional(),
      serial: z.string().max(256).optional(),
      arch: z.string().max(32).optional(),
      firmware: z.string().max(16).optional(),
      cores: z.int32().optional(),
      memory: quantity.optional(),
      disks: z
        .array(z.object({ path: z.string().max(256), size: quantity, serial: z.string().max(256).optional() }))
        .max(256)
        .optional(),
      nics: z.int32().optional(),
      gpus: z.int32().optional(),
    })
    .optional(),
  claim: z
    .object({
      id: z.string().max(128),
      owner: z.string().max(128),
      image: z.string().max(128),
      generation: z.int32(),
      hostName: z.string().max(253),
    })
    .optional(),
  reservedFor: z.string().max(253).optional(),
});
export type RackHostStatus = z.infer<typeof rackHostStatus>;
