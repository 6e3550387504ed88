/** Nodes that no kubelet stands behind: objects written as a kubelet would, with a heartbeat, and the mirror pods of a control plane. */
import { RemudaError, reasonOf } from '../../errors.ts';
import type { World } from '../../world/world.ts';
import type { Door, PlaneObject } from './door.ts';
import { kubernetesVersion } from './pki.ts';

/** As a kubelet: every quarter of the lease. */
const beatMs = 10_000;
const leaseSeconds = 40;
const system = 'kube-system';

export interface StandInNode {
  readonly name: string;
  /** Once given it stays: Kubernetes lets nobody change it. */
  readonly providerId?: string;
  readonly address?: string;
  readonly version?: string;
  /** Another one after each boot of a host. */
  readonly bootId?: string;
  /** With the mirror pods of kube-apiserver, kube-controller-manager and kube-scheduler. */
  readonly isControlPlane?: boolean;
}
export interface StandInNodes {
  /** New, or changed; Ready, with a heartbeat from now on. */
  put(node: StandInNode): Promise<void>;
  /** Its heart beats no more; the Node stays, and is not ready after the grace period. */
  silence(name: string): void;
  /** The Node too. */
  remove(name: string): Promise<void>;
  /** All hearts. */
  stop(): Promise<void>;
}

const nodeObject = ({ name, providerId, isControlPlane }: StandInNode): PlaneObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      ...(isControlPlane === true ? { 'node-role.kubernetes.io/control-plane': '' } : {}),
    },
  },
  spec: {
    ...(providerId === undefined ? {} : { providerID: providerId }),
    ...(isControlPlane === true ? { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] } : {}),
  },
});

const statusObject = ({ name, address = '127.0.0.1', version = kubernetesVersion, bootId = '' }: StandInNode, now: string): PlaneObject => {
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: 'a stand-in',
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: {
      conditions: [
        condition('Ready', 'True', 'KubeletReady'),
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID'),
      ],
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
      nodeInfo: {
        machineID: '',
        systemUUID: '',
        bootID: bootId,
        kernelVersion: '',
        osImage: 'stand-in',
        containerRuntimeVersion: '',
        kubeletVersion: version,
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
    },
  };
};

const podName = (component: string, node: string): string => `${component}-${node}`;
const mirrorPods = (node: string): readonly PlaneObject[] =>
  ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((component) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(component, node),
      namespace: system,
      annotations: { 'kubernetes.io/config.mirror': 'stand-in' },
      labels: { component, tier: 'control-plane' },
    },
    spec: {
      nodeName: node,
      hostNetwork: true,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: component, image: 'stand-in' }],
    },
  }));
const podStatus = ({ metadata: { name } }: PlaneObject, now: string): PlaneObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: system },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }] },
});

const leaseObject = (name: string, nowMs: number): PlaneObject => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, namespace: 'kube-node-lease' },
  // A MicroTime has six digits behind the dot.
  spec: { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime: new Date(nowMs).toISOString().replace('Z', '000Z') },
});

class Nodes implements StandInNodes {
  readonly #world: World;
  readonly #door: Door;
  readonly #hearts = new Map<string, AbortController>();
  readonly #beating = new Set<Promise<void>>();

  constructor(world: World, door: Door) {
    this.#world = world;
    this.#door = door;
  }

  async put(node: StandInNode): Promise<void> {
    const now = new Date(this.#world.clock.now()).toISOString().replace(/\.\d+Z/, 'Z');
    await this.#door.apply([nodeObject(node)]);
    await this.#door.applyStatus(statusObject(node, now));
    if (node.isControlPlane === true) {
      const pods = mirrorPods(node.name);
      await this.#door.apply(pods);
      for (const pod of pods) await this.#door.applyStatus(podStatus(pod, now));
    }
    if (this.#hearts.has(node.name)) return;
    const heart = new AbortController();
    this.#hearts.set(node.name, heart);
    const beating = this.#beat(node.name, heart.signal).finally(() => this.#beating.delete(beating));
    this.#beating.add(beating);
  }

  silence(name: string): void {
    this.#hearts.get(name)?.abort();
    this.#hearts.delete(name);
  }

  async remove(name: string): Promise<void> {
    this.silence(name);
    await this.#door.call('DELETE', `/api/v1/nodes/${encodeURIComponent(name)}`);
  }

  async stop(): Promise<void> {
    for (const name of this.#hearts.keys()) this.silence(name);
    await Promise.all(this.#beating);
  }

  async #beat(name: string, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#world;
    while (!signal.aborted) {
      try {
        await this.#door.apply([leaseObject(name, clock.now())]);
      } catch (error) {
        // The next beat tries again; a kubelet does no more.
        if (!(error instanceof RemudaError)) throw error;
        log.warn('the heartbeat of a stand-in node was lost', { node: name, reason: reasonOf(error) });
      }
      // Ends when the heart does, and that is no failure.
      await clock.sleep(beatMs, signal).catch(() => undefined);
    }
  }
}

/** No node yet. */
export const standInNodes = (world: World, door: Door): StandInNodes => new Nodes(world, door);
