/** PacketMachine and its template as kinds of machines: `equinixmetal://` IDs, `status.ready`, keys and tags that arrive. */
import { z } from 'zod';
import type { HostJson } from '../../api/types.ts';
import { claimIdSchema } from '../../control/rack.ts';
import { factsInStatus } from '../machine/adapter.ts';
import type { MachineAdapter, Past, Surroundings } from '../machine/adapter.ts';
import type { TemplateAdapter } from '../machine/template.ts';
import { finalizers, ours, reasons } from '../names.ts';
import { kinds } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { packetMachineSpec } from '../schema/packet.ts';
import { fillTemplate } from './user-data.ts';
import { askedBy, publicKeysOf } from './words.ts';
import type { Place } from './words.ts';

const text = z.string().min(1).optional();
const idsShape = z.object({ claimID: text, providerID: text });
const idsOf = ({ spec }: Pick<KubeObject, 'spec'>): z.infer<typeof idsShape> => idsShape.safeParse(spec ?? {}).data ?? {};
/** Of the old provider `equinixmetal://<device>`; before its v0.4 `packet://<device>`. */
const deviceOf = (object: Pick<KubeObject, 'spec'>): string | undefined => {
  const device = /^(?:equinixmetal|packet):\/\/(.+)$/.exec(idsOf(object).providerID ?? '')?.[1];
  return claimIdSchema.safeParse(device).data;
};
const placeShape = z.object({ metro: text, facility: text });
/** Of a Cluster with another kind of infrastructure nothing is said. */
const placeOfCluster = ({ infra }: Pick<Surroundings, 'infra'>): Place | undefined =>
  infra?.kind === kinds.packetCluster.kind ? placeShape.safeParse(infra.spec ?? {}).data : undefined;

/** It had its provider ID before any claim of ours: its server stood at Equinix Metal. */
const pastOf = (object: KubeObject): Past | undefined => {
  const { claimID, providerID } = idsOf(object);
  const { annotations = {} } = object.metadata;
  if (providerID === undefined) return undefined;
  // Once its host runs, the machine is one of the rack's, and a lost claim is a lost claim.
  if (annotations[ours.adopt] !== undefined && annotations[ours.host] === undefined) return { is: 'adopting' };
  if (claimID !== undefined) return undefined;
  const message =
    `${providerID} was a server at Equinix Metal, and no rack has it. Delete the Machine to get a host of the rack; ` +
    `or annotate this object with ${ours.adopt}=<host> to have that host written anew and carry its provider ID on`;
  return { is: 'elsewhere', message };
};

const versionShape = z.object({ version: text });
const endpointShape = z.object({ controlPlaneEndpoint: z.object({ host: text }).optional() });
const endpointIn = (object: KubeObject | undefined): string | undefined =>
  endpointShape.safeParse(object?.spec ?? {}).data?.controlPlaneEndpoint?.host;

/** As the old provider named the states of a device (api/v1beta1, PacketResourceStatus; `deprovisioning` as the Metal API said it). */
export const instanceStatusOf = (reason: string | undefined, host: HostJson | undefined, before: unknown): string => {
  if (host === undefined) {
    if (reason === reasons.hostGone) return 'errored';
    // Where the rack cannot be asked nobody knows better than before.
    const isUnknown = reason === reasons.deleting || reason === reasons.rackUnreachable;
    return isUnknown && typeof before === 'string' ? before : 'queued';
  }
  if (host.claim === null) return host.facts.power === 'off' ? 'off' : 'deprovisioning';
  if (host.failed !== null) return 'errored';
  if (host.state !== 'provisioned') return 'provisioning';
  return host.facts.power === 'off' ? 'off' : 'active';
};

export const packetMachine: MachineAdapter = {
  kind: kinds.packetMachine,
  finalizer: finalizers.packetMachine,
  specOf: (object, around) => {
    const asked = askedBy(object.spec, placeOfCluster(around));
    const host = object.metadata.annotations?.[ours.adopt];
    if ('wrong' in asked || host === undefined || pastOf(object)?.is !== 'adopting') return asked;
    const { hostSelector: _any, ...spec } = asked.spec;
    return { spec: { ...spec, host } };
  },
  claimIdFor: (object) => deviceOf(object) ?? object.metadata.uid ?? '',
  providerIdOf: (claimId, object) => {
    const old = `packet://${claimId}`;
    return idsOf(object).providerID === old ? old : `equinixmetal://${claimId}`;
  },
  pastOf,
  dress: (userData, { machine, cluster, infra }) =>
    fillTemplate(userData, {
      kubernetesVersion: versionShape.safeParse(machine?.spec ?? {}).data?.version ?? '',
      controlPlaneEndpoint: endpointIn(cluster) ?? endpointIn(infra),
    }),
  metaDataOf: ({ spec }, providerId) => {
    const { tags = [], ...said } = packetMachineSpec.safeParse(spec ?? {}).data ?? {};
    const keys = publicKeysOf(said);
    return {
      // So `{{ v1.instance_id }}` is what the old templates put behind `equinixmetal://`.
      'instance-id': providerId.slice(providerId.indexOf('://') + 3),
      provider_id: providerId,
      ...(keys.length === 0 ? {} : { 'public-keys': [...keys] }),
      ...(tags.length === 0 ? {} : { tags: [...tags] }),
    };
  },
  statusOf: ({ isProvisioned, facts, before, generation, reason }) => ({
    ...before,
    observedGeneration: generation,
    instanceStatus: instanceStatusOf(reason, facts?.host, before['instanceStatus']),
    ...(isProvisioned ? { ready: true, initialization: { provisioned: true } } : {}),
    ...(facts === undefined ? {} : factsInStatus(facts)),
  }),
};

const templateShape = z.object({ template: z.object({ spec: z.record(z.string(), z.unknown()) }) });
export const packetTemplate: TemplateAdapter = {
  kind: kinds.packetMachineTemplate,
  wishesOf: ({ spec }) => {
    const asked = askedBy(templateShape.safeParse(spec ?? {}).data?.template.spec, undefined);
    return 'spec' in asked ? [asked.spec, ...(asked.otherwise ?? [])] : [];
  },
};
