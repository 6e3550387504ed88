/** From `kubectl apply` to what a person does next with the cluster. */
import { cacheOf, giveBack, interrupted } from '../bench.ts';
import type { Bench, Stage } from '../bench.ts';
import type { Crew } from '../crew.ts';
import type { UpOptions } from '../options.ts';
import type { Place } from '../place.ts';
import { textField } from '../plane/door.ts';
import type { Plane } from '../plane/management.ts';
import { followCluster } from './follow.ts';
import type { Followed, Screen } from './follow.ts';
import { kubectl, nodesOf } from './kubectl.ts';
import type { NodeResult } from './kubectl.ts';
import { clusterObjects, namespace, otherImageObjects, yamlOf } from './manifest.ts';
import type { ClusterWish } from './manifest.ts';
import { memoryOf } from './memory.ts';
import { clusterSummary, complaint } from './show.ts';
import { ended } from '../../world/ending.ts';

/** Emulated and on two busy cores it takes a quarter of an hour. */
const upMs = 45 * 60_000;

/** The files that a person goes on with. */
const filesOf = ({ folder }: Place) => ({
  cluster: `${folder}/cluster.yaml`,
  otherImage: `${folder}/other-image.yaml`,
  kubeconfig: `${folder}/cluster.kubeconfig`,
});

const hints = ({ place, crew, plane: { binaries, kubeconfig }, wish: { name } }: Scene, isUp: boolean, hasConfig: boolean): string => `
${isUp ? 'The cluster stays up. Try' : 'What runs stays up, so that you can look why'}, in another terminal:

  export PATH=${binaries}:$PATH
${
  hasConfig
    ? `
  export KUBECONFIG=${filesOf(place).kubeconfig}    # the new cluster
  kubectl get nodes -o wide
  kubectl get pods -A -o wide
`
    : ''
}
  export KUBECONFIG=${kubeconfig}    # the one that manages it
  kubectl get rackhosts
  kubectl get clusters,machines,baremetalmachines
  kubectl apply -f ${filesOf(place).otherImage}    # the workers are written anew, with another image
  kubectl delete cluster ${name}    # every server is wiped, and available again

  export REMUDA_SOCKET=${place.socket}    # the rack itself
  npm run -s remuda -- host list

The API: ${crew.api}/v1/hosts   consoles: ${place.folder}/h1/serial.log   daemon: ${place.folder}/daemon.log   logs of the management cluster: ${place.folder}/plane/*/log
Stop: Ctrl-C here, or npm run lab -- down; disks and logs go with the laboratory: copy before what you want to keep.
`;

export interface Scene extends Stage {
  readonly crew: Crew;
  readonly plane: Plane;
  readonly wish: ClusterWish;
  readonly began: number;
  readonly screen: Screen;
}
/** From `kubectl apply` to what a person does next; the exit code. */
export const raise = async (bench: Bench, options: UpOptions, scene: Scene): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  const { place, say, crew, plane, wish, began, screen } = scene;
  const files = filesOf(place);
  const manifest = yamlOf('A Kubernetes cluster on the servers of this rack.', clusterObjects(wish));
  await lab.files.write(files.cluster, manifest);
  await lab.files.write(files.otherImage, yamlOf('The same workers with another image.', otherImageObjects(wish)));
  await giveBack(lab, terminal.env, cacheOf(terminal.env));
  say(`\n${manifest}\nkubectl --kubeconfig ${plane.kubeconfig} apply -f ${files.cluster}`);
  say(await kubectl(lab, plane, ['apply', '-f', files.cluster]));
  say(`Without KVM kubeadm init takes some ten minutes. Consoles: tail -f ${place.folder}/h*/serial.log\n`);
  const followed = await followCluster(lab, {
    door: plane.door,
    name: wish.name,
    hosts: options.hosts,
    withinMs: upMs,
    screen,
    interrupt,
  });
  if (interrupt.aborted) return interrupted;
  const hasConfig = await writeConfig(bench, scene);
  const nodes = followed.isUp && hasConfig ? await showNodes(bench, scene) : [];
  const memory = await memoryOf(lab, { daemon: crew.daemon().pid, members: plane.members(), place, hosts: followed.hosts });
  const total = lab.clock.now() - began;
  say(`\n${followed.isUp ? '' : complaint(followed.view, followed.hosts)}${clusterSummary(followed.times, total / 1000, memory)}`);
  if (options.json)
    terminal.write(`${JSON.stringify({ cluster: resultOf(followed, Math.round(total / 100) / 10), nodes, memoryMiB: memory })}\n`);
  if (!options.once) {
    say(hints(scene, followed.isUp, hasConfig));
    await ended(interrupt);
  }
  return followed.isUp && nodes.length === options.hosts && nodes.every(({ ready }) => ready) ? 0 : 1;
};

const resultOf = ({ isUp, times, view, hosts }: Followed, total: number): object => ({
  up: isUp,
  seconds: { ...times, total },
  machines: view.machines.map(({ name: machine, host, phase, node, nodeReady, why }) => ({
    name: machine,
    host: host ?? null,
    phase,
    node: node ?? null,
    nodeReady,
    why,
    image: hosts.find((one) => one.name === host)?.facts.installed?.digest ?? null,
  })),
});
/** Leaves the new cluster's kubeconfig; false where Cluster API has not made it. */
const writeConfig = async ({ lab, terminal }: Bench, { place, plane, wish: { name } }: Scene): Promise<boolean> => {
  const secret = await plane.door.get(`/api/v1/namespaces/${namespace}/secrets/${name}-kubeconfig`);
  const text = textField(secret, 'data', 'value');
  if (text === undefined) return false;
  const file = filesOf(place).kubeconfig;
  await lab.files.write(file, Buffer.from(text, 'base64'), 0o600);
  await giveBack(lab, terminal.env, file);
  return true;
};
/** Asks the new cluster itself. */
const showNodes = async ({ lab }: Bench, { place, say, plane }: Scene): Promise<readonly NodeResult[]> => {
  const file = filesOf(place).kubeconfig;
  const cluster = { binaries: plane.binaries, kubeconfig: file };
  say(`\nkubectl --kubeconfig ${file} get nodes -o wide\n${await kubectl(lab, cluster, ['get', 'nodes', '-o', 'wide'])}`);
  return nodesOf(lab, cluster);
};
