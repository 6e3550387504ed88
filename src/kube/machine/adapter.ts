/** What the lifecycle must know of one kind of machine; everything else is the same for all of them. */
import type { z } from 'zod';
import type { HostJson } from '../../api/types.ts';
import type { MetaData } from '../../host/meta-data.ts';
import { finalizers, providerIdOf } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Kind, KubeObject } from '../objects.ts';
import { machineSpec } from '../schema/bare-metal.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';

/** Facts for the status, of a host that is held or leaving. */
export interface HostFacts {
  readonly host: HostJson;
  readonly addresses: readonly { readonly type: 'Hostname' | 'InternalIP'; readonly address: string }[];
  readonly failureDomain: string | undefined;
}
/** What stands around the object of a machine. */
export interface Surroundings {
  readonly machine: KubeObject | undefined;
  readonly cluster: KubeObject | undefined;
  /** What the Cluster's infrastructureRef names, of a kind of ours. */
  readonly infra: KubeObject | undefined;
}
/** In the words of BareMetalMachine; `otherwise`: what is asked for, one after the other, where no host is to be had as `spec` says. */
export type Asked = { readonly spec: MachineSpec; readonly otherwise?: readonly MachineSpec[] } | { readonly wrong: string };
/** Of a machine that had its provider ID before a host of the rack: its server was another's, or a host of ours takes its place. */
export type Past = { readonly is: 'elsewhere'; readonly message: string } | { readonly is: 'adopting' };
export interface MachineAdapter {
  readonly kind: Kind;
  readonly finalizer: string;
  specOf(object: KubeObject, around: Surroundings): Asked;
  /** Where the spec names none yet: the same for the same object, for ever. */
  claimIdFor(object: KubeObject): string;
  providerIdOf(claimId: string, object: KubeObject): string;
  pastOf?(object: KubeObject): Past | undefined;
  /** The bootstrap data as this kind hands them to the host; as they are when absent. `wrong` quotes nothing that may be secret. */
  dress?(userData: string, around: Surroundings): { readonly userData: string } | { readonly wrong: string };
  /** More that the OS is told. */
  metaDataOf?(object: KubeObject, providerId: string): MetaData;
  /** The status beside the conditions; what is undefined is taken out. `isProvisioned` once true stays so. */
  statusOf(more: {
    readonly isProvisioned: boolean;
    readonly facts: HostFacts | undefined;
    readonly before: Readonly<Record<string, unknown>>;
    readonly generation: number | undefined;
    /** Of the condition Ready. */
    readonly reason: string | undefined;
  }): Readonly<Record<string, unknown>>;
}

/** The facts as all kinds of machines tell them. */
export const factsInStatus = ({ host, addresses, failureDomain }: HostFacts): Readonly<Record<string, unknown>> => ({
  host: { name: host.name, id: host.id, state: host.state, power: host.facts.power },
  ...(addresses.length === 0 ? {} : { addresses }),
  failureDomain,
  ...(host.claim === null ? {} : { claimGeneration: host.claim.generation }),
  ...(host.facts.installed === null || host.facts.installed.claimId !== host.claim?.id ? {} : { imageDigest: host.facts.installed.digest }),
});
/** What is wrong with a spec, for its condition. */
export const faultsOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; ');
export const bareMetal: MachineAdapter = {
  kind: kinds.bareMetalMachine,
  finalizer: finalizers.machine,
  specOf(object) {
    const parsed = machineSpec.safeParse(object.spec ?? {});
    return parsed.success ? { spec: parsed.data } : { wrong: faultsOf(parsed.error) };
  },
  claimIdFor: ({ metadata }) => `capi-${metadata.uid ?? ''}`,
  providerIdOf: (claimId) => providerIdOf(claimId),
  statusOf: ({ isProvisioned, facts, before, generation }) => ({
    ...before,
    observedGeneration: generation,
    ...(isProvisioned ? { initialization: { provisioned: true } } : {}),
    ...(facts === undefined ? {} : factsInStatus(facts)),
  }),
};
