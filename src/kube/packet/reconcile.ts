/** The controllers of the Packet kinds: those of our own kinds, with other words. */
import { clusterReconciler } from '../cluster/reconcile.ts';
import type { Reconciler, Tools, Watch } from '../controller.ts';
import { machineIndex, machineReconciler } from '../machine/reconcile.ts';
import { templateReconciler } from '../machine/template.ts';
import { kinds } from '../objects.ts';
import { packetMachine, packetTemplate } from './adapter.ts';
import { packetCluster } from './cluster.ts';

/** Beside those of Machines and Clusters. */
export const packetWatches: readonly Watch[] = [
  { kind: kinds.packetMachine, index: machineIndex(packetMachine) },
  { kind: kinds.packetMachineTemplate },
  { kind: kinds.packetCluster },
];
export const packetReconcilers = (tools: Tools): readonly Reconciler[] => [
  machineReconciler(tools, packetMachine),
  templateReconciler(tools, packetTemplate),
  clusterReconciler(tools, packetCluster),
];
