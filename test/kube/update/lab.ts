/** A small rack and two API servers in memory: one machine that runs, a Node that is Ready, and hosts that do what they are told when time passes. */
import type { HostJson, ImageJson } from '../../../src/api/types.ts';
import type { PowerVerb } from '../../../src/control/rack.ts';
import { RemudaError } from '../../../src/errors.ts';
import type { Key, KubeObject } from '../../../src/kube/objects.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Metal, Standing } from '../../../src/kube/metal.ts';
import type { Clock, Log, World } from '../../../src/world/world.ts';
import { FakeApi } from '../fake-api.ts';

export const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => quiet };
export class Hands implements Clock {
  time = Date.UTC(2026, 10, 21);
  #late: { readonly at: number; readonly run: () => void }[] = [];
  now(): number {
    return this.time;
  }
  sleep(): Promise<void> {
    return new Promise(() => {});
  }
  after(ms: number, run: () => void): () => void {
    const one = { at: this.time + ms, run };
    this.#late.push(one);
    return () => {
      this.#late = this.#late.filter((other) => other !== one);
    };
  }
  soon(run: () => void): void {
    run();
  }
  pass(ms: number): void {
    this.time += ms;
    const due = this.#late.filter(({ at }) => at <= this.time);
    this.#late = this.#late.filter(({ at }) => at > this.time);
    for (const { run } of due) run();
  }
}
let drawn = 0;
/** Each byte another one, the same in every run of a test file. */
export const random: World['random'] = {
  next: () => 0.5,
  bytes: (count) => Uint8Array.from({ length: count }, () => (drawn = (drawn * 73 + 41) % 251)),
};

export const digests = { 'kubernetes-v1.34.4': `sha256:${'a'.repeat(64)}`, 'kubernetes-v1.35.0': `sha256:${'b'.repeat(64)}` };
export const imageOf = (name: string, digest = `sha256:${'c'.repeat(64)}`): ImageJson => ({
  name,
  digest,
  sizeBytes: 1,
  storedBytes: 1,
  seed: { offsetBytes: 0, sizeBytes: 1 },
  firmware: ['uefi'],
  phoneHome: 'cloud-init',
  importedAt: 0,
  signedBy: [],
  refused: null,
});
const usual: readonly ImageJson[] = Object.entries(digests).map(([name, digest]) => imageOf(name, digest));

/** Only what is looked at; the rest of a host is none of ours. */
const hostWith = (more: object): HostJson =>
  ({
    id: 'h-1',
    name: 'h1',
    version: 1,
    state: 'provisioned',
    held: null,
    failed: null,
    boot: null,
    ...more,
  }) as unknown as HostJson;

export class ModelMetal implements Pick<Metal, 'images' | 'standing' | 'reprovision' | 'power'> {
  host = hostWith({
    claim: {
      id: 'c-1',
      owner: 'ns/w1',
      generation: 1,
      image: { name: 'kubernetes-v1.34.4', digest: digests['kubernetes-v1.34.4'], sizeBytes: 1 },
      hostName: 'w1',
    },
    facts: { power: 'on', installed: { claimId: 'c-1', generation: 1, digest: digests['kubernetes-v1.34.4'] } },
  });
  catalogue: readonly ImageJson[] = usual;
  readonly told: { readonly image: string; readonly userData: string }[] = [];
  readonly cycles: string[] = [];
  powerFails = false;
  word: Standing | undefined;
  /** Before a reprovision is done, and after. */
  crash: (when: 'before' | 'after') => void = () => {};
  change(more: object): void {
    this.host = { ...this.host, ...more, version: this.host.version + 1 };
  }
  images(): Promise<readonly ImageJson[]> {
    return Promise.resolve(this.catalogue);
  }
  standing(claimId: string): Promise<Standing> {
    return Promise.resolve(this.word ?? (claimId === 'c-1' ? { is: 'held', host: structuredClone(this.host) } : { is: 'unknown' }));
  }
  async reprovision(claimId: string, wanted: Parameters<Metal['reprovision']>[1], ifVersion?: number): Promise<HostJson> {
    await Promise.resolve();
    this.crash('before');
    const { claim } = this.host;
    if (claim === null || claim.id !== claimId) throw new RemudaError('claim-not-found', `there is no claim ${claimId}`);
    if (ifVersion !== undefined && ifVersion !== this.host.version) throw new RemudaError('precondition-failed', 'the host changed');
    this.told.push({ image: wanted.image, userData: wanted.userData ?? '' });
    const image = { ...claim.image, digest: wanted.image };
    this.change({
      state: 'provisioning',
      claim: { ...claim, generation: claim.generation + 1, image },
      facts: { ...this.host.facts, power: 'on', installed: null },
    });
    this.crash('after');
    return this.host;
  }
  power(host: string, wanted: PowerVerb): Promise<{ readonly observed: string; readonly settled: boolean }> {
    if (this.powerFails) return Promise.reject(new RemudaError('bmc-unreachable', 'the BMC of h1 does not answer'));
    if (wanted !== 'on' && this.host.facts.power === 'off') return Promise.reject(new RemudaError('conflict', 'the host is off'));
    this.cycles.push(host);
    return Promise.resolve({ observed: 'on', settled: true });
  }
}

export const joinData = (token: string): string => `## template: jinja
#cloud-config

write_files:
-   path: /run/kubeadm/kubeadm-join-config.yaml
    owner: root:root
    permissions: '0640'
    content: |
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      caCertPath: ""
      discovery:
        bootstrapToken:
          apiServerEndpoint: 10.78.0.1:6443
          caCertHashes:
          - sha256:1111111111111111111111111111111111111111111111111111111111111111
          token: ${token}
      kind: JoinConfiguration
      nodeRegistration:
        kubeletExtraArgs:
        - name: provider-id
          value: remuda://{{ ds.meta_data.instance_id }}
        name: '{{ ds.meta_data.local_hostname }}'
        taints: null
runcmd:
  - kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml  && echo success > /run/cluster-api/bootstrap-success.complete
`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const updateMark = { 'in-place-updates.internal.cluster.x-k8s.io/update-in-progress': '' };

export interface LabOptions {
  readonly image?: string;
  readonly version?: string;
  readonly isUpdating?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly drainTimeoutSeconds?: number;
}
export interface Lab {
  readonly clock: Hands;
  readonly api: FakeApi;
  readonly workloadApi: FakeApi;
  readonly metal: ModelMetal;
  readonly parts: {
    readonly world: Pick<World, 'clock' | 'random'>;
    readonly log: Log;
    readonly api: FakeApi;
    readonly metal: Metal;
    readonly workload: () => Promise<FakeApi>;
  };
  readonly node: () => KubeObject | undefined;
  /** The old system is off and its disk is being written. */
  readonly install: () => void;
  /** The new system is up, and its kubelet has joined. */
  readonly join: (version: string, ready?: 'True' | 'False' | 'Unknown') => Promise<void>;
}
export const machineKey: Key = 'ns/w1';
export const aNode = (boot: string, version: string, ready: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'w1' },
  spec: { providerID: 'remuda://c-1' },
  status: { conditions: [{ type: 'Ready', status: ready }], nodeInfo: { kubeletVersion: version, bootID: boot } },
});
/** As a kubelet does: a Node that is there stays the same object, and tells the new boot. */
const register = async (api: FakeApi, node: KubeObject): Promise<void> => {
  if (api.peek(kinds.node, '/w1') === undefined) {
    api.seed(kinds.node, node);
    return;
  }
  const { fault } = api;
  api.fault = () => undefined;
  await api.patch(kinds.node, '/w1', { status: node.status }, { fieldManager: 'kubelet', subresource: 'status' });
  api.fault = fault;
};
export const aLab = (options: LabOptions = {}): Lab => {
  const { image = 'kubernetes-v1.35.0', version = 'v1.35.0', isUpdating = true, labels = {}, drainTimeoutSeconds } = options;
  const clock = new Hands();
  const api = new FakeApi({ clock });
  const workloadApi = new FakeApi({ clock });
  const metal = new ModelMetal();
  const annotations = isUpdating ? updateMark : {};
  const capiVersion = 'cluster.x-k8s.io/v1beta2';
  const named = (name: string) => ({ name, namespace: 'ns' });
  api.seed(kinds.cluster, { apiVersion: capiVersion, kind: 'Cluster', metadata: named('c1'), spec: {} });
  api.seed(kinds.machine, {
    apiVersion: capiVersion,
    kind: 'Machine',
    metadata: { ...named('w1'), annotations, labels },
    spec: {
      clusterName: 'c1',
      version,
      bootstrap: { dataSecretName: 'w1-boot' },
      infrastructureRef: { apiGroup: 'infrastructure.cluster.x-k8s.io', kind: 'BareMetalMachine', name: 'w1' },
      ...(drainTimeoutSeconds === undefined ? {} : { deletion: { nodeDrainTimeoutSeconds: drainTimeoutSeconds } }),
    },
    status: { nodeRef: { name: 'w1' } },
  });
  api.seed(kinds.bareMetalMachine, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1beta2',
    kind: 'BareMetalMachine',
    metadata: { ...named('w1'), annotations },
    spec: { image, claimID: 'c-1', providerID: 'remuda://c-1' },
  });
  api.seed(kinds.secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: named('w1-boot'),
    data: { value: base64(joinData('oldold.0123456789abcdef')), format: base64('cloud-config') },
  });
  workloadApi.seed(kinds.node, aNode('boot-1', 'v1.34.4', 'True'));
  return {
    clock,
    api,
    workloadApi,
    metal,
    parts: { world: { clock, random }, log: quiet, api, metal: metal as unknown as Metal, workload: () => Promise.resolve(workloadApi) },
    node: () => workloadApi.peek(kinds.node, '/w1'),
    install: () => metal.change({ facts: { ...metal.host.facts, power: 'off' } }),
    join: async (kubelet, ready = 'True') => {
      const installed = { claimId: 'c-1', generation: metal.host.claim?.generation ?? 0, digest: metal.host.claim?.image.digest };
      metal.change({ state: 'provisioned', facts: { ...metal.host.facts, power: 'on', installed } });
      await register(workloadApi, aNode(`boot-${metal.host.version}`, kubelet, ready));
    },
  };
};
