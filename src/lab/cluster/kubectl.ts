/** kubectl as a person runs it, and what a new cluster says of its own nodes. */
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import { field, items, textField } from '../plane/door.ts';

const kubectlMs = 120_000;

export interface Kubectl {
  /** The program's folder. */
  readonly binaries: string;
  readonly kubeconfig: string;
}
/** What it prints; throws `kube-failed` with its words. */
export const kubectl = async (lab: LabWorld, { binaries, kubeconfig }: Kubectl, args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await lab.processes.run(`${binaries}/kubectl`, ['--kubeconfig', kubeconfig, ...args], {
    timeoutMs: kubectlMs,
    outputBytesMax: 16 * 1024 * 1024,
  });
  if (code !== 0) throw new RemudaError('kube-failed', `kubectl ${args.join(' ')} failed: ${stderr.trim()}`, { values: { kubeconfig } });
  return stdout;
};

export interface NodeResult {
  readonly name: string;
  readonly ready: boolean;
  readonly version: string;
  readonly providerId: string;
  readonly address: string;
}
/** Of a list whose entries have a type each. */
const ofType = (list: unknown, type: string): unknown =>
  Array.isArray(list) ? list.find((one) => textField(one, 'type') === type) : undefined;
const nodeOf = (node: unknown): NodeResult => {
  return {
    name: textField(node, 'metadata', 'name') ?? '',
    ready: textField(ofType(field(node, 'status', 'conditions'), 'Ready'), 'status') === 'True',
    version: textField(node, 'status', 'nodeInfo', 'kubeletVersion') ?? '',
    providerId: textField(node, 'spec', 'providerID') ?? '',
    address: textField(ofType(field(node, 'status', 'addresses'), 'InternalIP'), 'address') ?? '',
  };
};

/** Of the cluster whose kubeconfig it is. */
export const nodesOf = async (lab: LabWorld, at: Kubectl): Promise<readonly NodeResult[]> =>
  items(JSON.parse(await kubectl(lab, at, ['get', 'nodes', '-o', 'json']))).map(nodeOf);
