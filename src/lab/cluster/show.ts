/** What a person sees of a cluster that comes up, and what is said of it at the end. Pure. */
import type { HostJson } from '../../api/types.ts';
import { cut } from '../show.ts';
import { milestones } from './milestones.ts';
import type { Milestone, Times } from './milestones.ts';
import type { ClusterView, News } from './view.ts';

/** `  62.1 s  h1   Machine lab-control-plane-x7k2p: Provisioning` */
export const newsLine = ({ host, text }: News, ms: number): string =>
  `${(ms / 1000).toFixed(1).padStart(7)} s  ${(host ?? '*').padEnd(4)} ${text}`;

/** Below a host's own bar: its Machine and its Node. */
export const machineBar = (host: string, { machines }: ClusterView, columns: number | undefined): string => {
  const machine = machines.find((one) => one.host === host);
  if (machine === undefined) return cut(`${''.padEnd(9)} no Machine`, columns);
  const node = machine.node === undefined ? 'no Node' : `Node ${machine.nodeReady ? 'Ready' : 'NotReady'}`;
  return cut(`${''.padEnd(9)} Machine ${machine.name}: ${machine.phase}, ${node}`, columns);
};

const words: Readonly<Record<Milestone, string>> = {
  controlPlaneClaimed: 'a server is claimed for the control plane',
  controlPlaneWritten: 'its image is written and read back',
  controlPlaneInitialized: 'kubeadm init has succeeded',
  controlPlaneReady: "the control plane's Node is Ready",
  controlPlaneAvailable: 'the KubeadmControlPlane is Available',
  workersClaimed: 'servers are claimed for the workers',
  workersWritten: 'their images are written and read back',
  workersReady: "the workers' Nodes are Ready",
  clusterAvailable: 'the Cluster is Available',
};
/** For a long wait: what comes next, and what came before it. */
export const waitLine = (times: Times, ms: number): string => {
  const next = milestones.find((one) => times[one] === undefined);
  return newsLine({ host: undefined, text: next === undefined ? 'waits until all of it is seen' : `waits until ${words[next]}` }, ms);
};
export interface MemoryMiB {
  /** Resident now: the daemon, the management cluster with Cluster API's managers, and each server's QEMU. */
  readonly daemon: number;
  readonly management: number;
  readonly hosts: Readonly<Record<string, number>>;
}
const total = ({ daemon, management, hosts }: MemoryMiB): number => daemon + management + Object.values(hosts).reduce((a, b) => a + b, 0);
const rounded = (value: number): string => value.toFixed(0);

export const clusterSummary = (times: Times, seconds: number, memory: MemoryMiB): string =>
  [
    'since kubectl apply:',
    ...milestones
      .flatMap((one) => (times[one] === undefined ? [] : [{ what: words[one], at: times[one] }]))
      .toSorted((a, b) => a.at - b.at)
      .map(({ what, at }) => `${at.toFixed(1).padStart(7)} s  ${what}`),
    `total ${seconds.toFixed(1)} s`,
    `memory: daemon ${rounded(memory.daemon)} MiB, management cluster ${rounded(memory.management)} MiB, ${Object.entries(memory.hosts)
      .map(([name, value]) => `${name} ${rounded(value)} MiB`)
      .join(', ')}, together ${rounded(total(memory))} MiB`,
    '',
  ].join('\n');

const reasonLettersMost = 240;
/** Of the end of a log the line that says what failed, else what conditions say: the whole of it stands at the host or in the cluster. */
const short = (reason: string): string => {
  const line = (/^\W*error.*$/im.exec(reason)?.[0] ?? reason).replaceAll(/\s+/g, ' ').trim();
  return line.length <= reasonLettersMost ? line : `${line.slice(0, reasonLettersMost)}…`;
};

/** Why it is not up, as far as anybody says. */
export const complaint = ({ why, machines }: ClusterView, hosts: readonly HostJson[]): string =>
  [
    'the cluster is not up:',
    ...hosts.flatMap(({ name, failed }) => (failed === null ? [] : [`  ${name} failed: ${short(failed.reason)}`])),
    ...machines.flatMap(({ name, phase, nodeReady, why: reason }) =>
      phase === 'Running' && nodeReady ? [] : [`  Machine ${name}: ${phase}${reason === '' ? '' : `: ${short(reason)}`}`],
    ),
    ...(why === '' ? [] : [`  Cluster: ${short(why)}`]),
    '',
  ].join('\n');
