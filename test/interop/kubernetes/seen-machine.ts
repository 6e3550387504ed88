/** What these tests look at in a Machine and the BareMetalMachine behind it. */
import type { Condition } from '../../../src/kube/objects.ts';
import { field, textField } from '../../../src/lab/plane/door.ts';

/** A Machine and what stands behind it. */
export interface SeenMachine {
  readonly name: string;
  readonly uid: string;
  readonly set: string;
  readonly isControlPlane: boolean;
  readonly phase: string;
  readonly node: string;
  readonly providerId: string;
  readonly version: string;
  readonly isLeaving: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  readonly conditions: readonly Condition[];
  /** Its BareMetalMachine. */
  readonly infra: unknown;
  readonly host: string;
  readonly image: string;
  readonly generation: number;
}

/** A text of an object; empty where there is none. */
export const said = (object: unknown, ...names: readonly string[]): string => textField(object, ...names) ?? '';
const conditionsOf = (object: unknown): readonly Condition[] =>
  (field(object, 'status', 'conditions') as readonly Condition[] | undefined) ?? [];
/** One condition's `reason: message`; empty where there is none. */
export const told = (object: unknown, type: string): string => {
  const found = conditionsOf(object).find((one) => one.type === type);
  return found === undefined ? '' : `${found.status} ${found.reason}: ${found.message}`;
};
/** Of the Machine and its BareMetalMachine, where that is there. */
export const seenMachine = (machine: unknown, infra: unknown): SeenMachine => {
  const labels = (field(machine, 'metadata', 'labels') ?? {}) as Readonly<Record<string, string>>;
  return {
    name: said(machine, 'metadata', 'name'),
    uid: said(machine, 'metadata', 'uid'),
    set: labels['cluster.x-k8s.io/deployment-name'] ?? '',
    isControlPlane: labels['cluster.x-k8s.io/control-plane'] !== undefined,
    phase: said(machine, 'status', 'phase'),
    node: said(machine, 'status', 'nodeRef', 'name'),
    providerId: said(machine, 'spec', 'providerID'),
    version: said(machine, 'spec', 'version'),
    isLeaving: field(machine, 'metadata', 'deletionTimestamp') !== undefined,
    annotations: (field(machine, 'metadata', 'annotations') ?? {}) as Readonly<Record<string, string>>,
    conditions: conditionsOf(machine),
    infra,
    host: said(infra, 'status', 'host', 'name'),
    image: said(infra, 'spec', 'image'),
    generation: Number(field(infra, 'status', 'claimGeneration') ?? 0),
  };
};
