/** What the lifecycle must know of one kind of machine; everything else is the same for all of them. */
import type { HostJson } from '../../api/types.ts';
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
export interface MachineAdapter {
  readonly kind: Kind;
  readonly finalizer: string;
  /** Its spec in the words of BareMetalMachine, or what is wrong with it. */
  specOf(object: KubeObject): { readonly spec: MachineSpec } | { readonly wrong: string };
  /** Where the spec names none yet: the same for the same object, for ever. */
  claimIdFor(object: KubeObject): string;
  providerIdOf(claimId: string): string;
  /** The bootstrap data as this kind hands them to the host; as they are when absent. */
  dress?(userData: string, object: KubeObject): string;
  /** The status beside the conditions; what is undefined is taken out. `isProvisioned` once true stays so. */
  statusOf(more: {
    readonly isProvisioned: boolean;
    readonly facts: HostFacts | undefined;
    readonly before: Readonly<Record<string, unknown>>;
    readonly generation: number | undefined;
  }): Readonly<Record<string, unknown>>;
}

const factsOf = ({ host, addresses, failureDomain }: HostFacts): Readonly<Record<string, unknown>> => ({
  host: { name: host.name, id: host.id, state: host.state, power: host.facts.power },
  ...(addresses.length === 0 ? {} : { addresses }),
  failureDomain,
  ...(host.claim === null ? {} : { claimGeneration: host.claim.generation }),
  ...(host.facts.installed === null || host.facts.installed.claimId !== host.claim?.id ? {} : { imageDigest: host.facts.installed.digest }),
});
export const bareMetal: MachineAdapter = {
  kind: kinds.bareMetalMachine,
  finalizer: finalizers.machine,
  specOf(object) {
    const parsed = machineSpec.safeParse(object.spec ?? {});
    if (parsed.success) return { spec: parsed.data };
    return { wrong: parsed.error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; ') };
  },
  claimIdFor: ({ metadata }) => `capi-${metadata.uid ?? ''}`,
  providerIdOf,
  statusOf: ({ isProvisioned, facts, before, generation }) => ({
    ...before,
    observedGeneration: generation,
    ...(isProvisioned ? { initialization: { provisioned: true } } : {}),
    ...(facts === undefined ? {} : factsOf(facts)),
  }),
};
