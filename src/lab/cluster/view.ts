/** What is seen of a cluster that comes up: how far it and its machines are, and what has changed since the last look. Pure. */
import { field, items, textField } from '../plane/door.ts';

export interface MachineView {
  readonly name: string;
  /** undefined until one is claimed. */
  readonly host: string | undefined;
  readonly isControlPlane: boolean;
  readonly phase: string;
  readonly node: string | undefined;
  readonly nodeReady: boolean;
  /** What it waits for, as its conditions say. */
  readonly why: string;
}
export interface ClusterView {
  /** `kubeadm init` has succeeded. */
  readonly initialized: boolean;
  readonly controlPlaneAvailable: boolean;
  readonly available: boolean;
  readonly why: string;
  readonly machines: readonly MachineView[];
}
/** Answers of the API server; lists of machines and of their BareMetalMachines. */
export interface Seen {
  readonly cluster: unknown;
  readonly controlPlane: unknown;
  readonly machines: unknown;
  readonly infra: unknown;
}

const condition = (object: unknown, type: string): unknown => {
  const conditions = field(object, 'status', 'conditions');
  return Array.isArray(conditions) ? conditions.find((one) => textField(one, 'type') === type) : undefined;
};
const isTrue = (object: unknown, type: string): boolean => textField(condition(object, type), 'status') === 'True';
const messageOf = (object: unknown, type: string): string => textField(condition(object, type), 'message') ?? '';

const machineView = (machine: unknown, infra: readonly unknown[]): MachineView => {
  const own = infra.find((one) => textField(one, 'metadata', 'name') === textField(machine, 'spec', 'infrastructureRef', 'name'));
  return {
    name: textField(machine, 'metadata', 'name') ?? '',
    host: textField(own, 'status', 'host', 'name'),
    isControlPlane: textField(machine, 'metadata', 'labels', 'cluster.x-k8s.io/control-plane') !== undefined,
    phase: textField(machine, 'status', 'phase') ?? 'Pending',
    node: textField(machine, 'status', 'nodeRef', 'name'),
    nodeReady: isTrue(machine, 'NodeReady'),
    why: messageOf(own, 'Ready') || messageOf(machine, 'Ready'),
  };
};
export const viewOf = ({ cluster, controlPlane, machines, infra }: Seen): ClusterView => ({
  initialized: field(controlPlane, 'status', 'initialization', 'controlPlaneInitialized') === true,
  controlPlaneAvailable: isTrue(controlPlane, 'Available'),
  available: isTrue(cluster, 'Available'),
  why: messageOf(cluster, 'Available'),
  machines: items(machines).map((machine) => machineView(machine, items(infra))),
});
export const nothingSeen: ClusterView = { initialized: false, controlPlaneAvailable: false, available: false, why: '', machines: [] };

/** All that was asked for is there. */
export const isUp = ({ available, machines }: ClusterView, hosts: number): boolean =>
  available && machines.length === hosts && machines.every(({ phase, nodeReady }) => phase === 'Running' && nodeReady);

export interface News {
  /** undefined: of the whole cluster. */
  readonly host: string | undefined;
  readonly text: string;
}
const ofMachine = (before: MachineView | undefined, now: MachineView): readonly News[] => {
  const { host, name } = now;
  const news = [
    before?.phase === now.phase ? undefined : `Machine ${name}: ${now.phase}`,
    now.node === undefined || before?.node === now.node ? undefined : `Machine ${name} is the Node ${now.node}`,
    before?.nodeReady !== true && now.nodeReady ? `Node ${now.node ?? '?'} is Ready` : undefined,
    before?.nodeReady === true && !now.nodeReady ? `Node ${now.node ?? '?'} is not Ready any more` : undefined,
  ];
  return news.flatMap((text) => (text === undefined ? [] : [{ host, text }]));
};
/** In one sentence each. */
export const changes = (before: ClusterView, now: ClusterView): readonly News[] => {
  const whole = [
    !before.initialized && now.initialized ? 'the control plane is initialized' : undefined,
    !before.controlPlaneAvailable && now.controlPlaneAvailable ? 'the control plane is available' : undefined,
    !before.available && now.available ? 'the cluster is available' : undefined,
  ];
  return [
    ...now.machines.flatMap((machine) =>
      ofMachine(
        before.machines.find(({ name }) => name === machine.name),
        machine,
      ),
    ),
    ...whole.flatMap((text) => (text === undefined ? [] : [{ host: undefined, text }])),
  ];
};
