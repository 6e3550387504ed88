/** `remuda lab plane`: a management cluster with Cluster API and no nodes, until Ctrl-C; with a stand-in control plane of one cluster where it is asked for. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { cacheOf, ended } from '../bench.ts';
import type { Bench } from '../bench.ts';
import { planeBinaries } from './binaries.ts';
import { startPlane } from './management.ts';
import type { Plane } from './management.ts';
import { startWorkloadPlane } from './workload.ts';

export interface PlaneCommandOptions {
  readonly name: string;
  readonly workload?: { readonly namespace: string; readonly name: string };
}
const clusterName = (text: string): { readonly namespace: string; readonly name: string } => {
  const [, namespace, name] = /^([a-z0-9-]+)\/([a-z0-9-]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new InvalidArgumentError('NAMESPACE/NAME of a Cluster');
  return { namespace, name };
};

/** Adds them to a command. */
export const withPlaneOptions = (command: Command): Command =>
  command
    .option('--name <name>', 'of the plane, when there are several', 'plane')
    .option('--workload <namespace/name>', 'also a stand-in control plane for this Cluster', clusterName);

/** Who it is for must exist before its keys can stand there. */
const startWorkload = async ({ lab }: Bench, plane: Plane, { namespace, name }: { readonly namespace: string; readonly name: string }) => {
  await plane.door.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
  return startWorkloadPlane(lab, { plane, folder: `${plane.folder}-${namespace}-${name}`, namespace, name });
};

/** The exit code. */
export const planeUp = async (bench: Bench, { name, workload }: PlaneCommandOptions): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  const say = (line: string): void => terminal.error(`${line}\n`);
  const binaries = await planeBinaries(lab, { say, signal: interrupt });
  const plane = await startPlane(lab, { binaries, folder: `${cacheOf(terminal.env)}/lab/planes/${name}`, say });
  try {
    say(`\nexport KUBECONFIG=${plane.kubeconfig}\nexport PATH=${binaries}:$PATH`);
    const second = workload === undefined ? undefined : await startWorkload(bench, plane, workload);
    try {
      if (second !== undefined)
        say(
          `the Cluster's controlPlaneEndpoint: { host: ${second.endpoint.host}, port: ${second.endpoint.port} }\nits own: ${second.kubeconfig}`,
        );
      say('Stop: Ctrl-C');
      await ended(interrupt);
    } finally {
      await second?.stop();
    }
  } finally {
    await plane.stop();
  }
  return 0;
};
