/** `remuda lab plane`: a management cluster with Cluster API and no nodes, until Ctrl-C; with a stand-in control plane of one cluster where it is asked for. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { cacheOf } from '../bench.ts';
import type { Bench } from '../bench.ts';
import { rackNet } from '../net.ts';
import { planeBinaries } from './binaries.ts';
import { plugIn } from './cable.ts';
import { startPlane } from './management.ts';
import type { Plane } from './management.ts';
import { startWorkloadPlane } from './workload.ts';
import type { WorkloadPlane } from './workload.ts';
import { ended } from '../../world/ending.ts';

export interface PlaneCommandOptions {
  readonly name: string;
  readonly workload?: ClusterKey;
  readonly rack?: string;
}
interface ClusterKey {
  readonly namespace: string;
  readonly name: string;
}
const clusterName = (text: string): ClusterKey => {
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9-]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new InvalidArgumentError('NAMESPACE/NAME of a Cluster');
  return { namespace, name };
};

/** Adds them to a command. */
export const withPlaneOptions = (command: Command): Command =>
  command
    .option('--name <name>', 'of the plane, when there are several', 'plane')
    .option('--workload <namespace/name>', 'also a stand-in control plane for this Cluster', clusterName)
    .option('--rack <name>', 'of a laboratory whose hosts reach that control plane');

/** Who it is for must exist before its keys can stand there. */
const startWorkload = async ({ lab }: Bench, plane: Plane, { namespace, name }: ClusterKey, address?: string): Promise<WorkloadPlane> => {
  await plane.door.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
  const folder = `${plane.folder}-${namespace}-${name}`;
  return startWorkloadPlane(lab, { plane, folder, namespace, name, ...(address === undefined ? {} : { address }) });
};

/** The exit code. */
export const planeUp = async (bench: Bench, { name, workload, rack }: PlaneCommandOptions): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  const say = (line: string): void => terminal.error(`${line}\n`);
  const ends: (() => Promise<void>)[] = [];
  try {
    const binaries = await planeBinaries(lab, { say, signal: interrupt });
    const cable = rack === undefined ? undefined : await plugIn(lab, rackNet(rack, { taps: 0 }));
    ends.push(async () => cable?.unplug());
    const plane = await startPlane(lab, { binaries, folder: `${cacheOf(terminal.env)}/lab/planes/${name}`, say });
    ends.push(plane.stop);
    say(`\nexport KUBECONFIG=${plane.kubeconfig}\nexport PATH=${binaries}:$PATH`);
    if (workload !== undefined) {
      const { endpoint, kubeconfig, stop } = await startWorkload(bench, plane, workload, cable?.address);
      ends.push(stop);
      say(`the Cluster's controlPlaneEndpoint: { host: ${endpoint.host}, port: ${endpoint.port} }\nits own: ${kubeconfig}`);
    }
    say('Stop: Ctrl-C');
    await ended(interrupt);
  } finally {
    for (const end of ends.toReversed()) await end();
  }
  return 0;
};
