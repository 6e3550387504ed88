/** May a changed machine be updated in place? Pure: what a new image of the host covers, and what it does not. */
import { isDeepStrictEqual } from 'node:util';
import type { ImageJson } from '../../api/types.ts';
import { capi, infraGroup } from '../names.ts';
import { groupOf } from '../objects.ts';
import type { Sent } from './hook.ts';
import { parseRelease, releaseOfImage } from './release.ts';

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const at = (spec: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), spec);

/** The three specs that Cluster API compares: of machines their `spec`, of templates `spec.template.spec`. */
export interface Specs {
  readonly machine: unknown;
  readonly infra: unknown;
  readonly bootstrap: unknown;
}
export interface Question {
  readonly current: Specs;
  readonly desired: Specs;
  /** Kind of the infrastructure machine or template, with its group. */
  readonly infraKind: { readonly kind: string; readonly group: string };
  readonly isControlPlane: boolean;
  /** As the rack has them. */
  readonly catalogue: readonly ImageJson[];
}
/** Merge patches of the specs, each absent where nothing changes. */
export interface Covered {
  readonly machine?: Json;
  readonly infra?: Json;
  readonly bootstrap?: Json;
}
export type Decision =
  | { readonly can: true; readonly patches: Covered }
  /** `stops`: the rollout is to stop; else Cluster API replaces the machine. */
  | { readonly can: false; readonly stops: boolean; readonly why: string };

/** Every place where two values differ, as dotted paths; lists are compared whole. */
export const changedPaths = (before: unknown, after: unknown, path = ''): readonly string[] => {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [path];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names.flatMap((name) => changedPaths(before[name], after[name], path === '' ? name : `${path}.${name}`));
};
const neverCompared = ['clusterName', 'bootstrap', 'infrastructureRef', 'providerID', 'minReadySeconds', 'readinessGates', 'taints'];
const deletionTimes = ['nodeDrainTimeoutSeconds', 'nodeVolumeDetachTimeoutSeconds', 'nodeDeletionTimeoutSeconds'];
const without = (value: unknown, names: readonly string[]): Json =>
  Object.fromEntries(Object.entries(isRecord(value) ? value : {}).filter(([name]) => !names.includes(name)));
/** What counts of a Machine's spec (internal/util/inplace, CleanupMachineSpecForDiff). */
const comparable = (machine: unknown): Json => {
  const deletion = without(at(machine, ['deletion']), deletionTimes);
  const rest = without(machine, [...neverCompared, 'deletion']);
  return Object.keys(deletion).length === 0 ? rest : { ...rest, deletion };
};
/** The image is what is written; the other two take effect without the host, at the next claim or the next change. */
const coveredInfra = ['image', 'nodeReuse', 'whenNotInPlace'];
/** What we write anew into the bootstrap data. The kubeadm provider makes them once and never again, so nothing else of them may change. */
const coveredBootstrap = ['joinConfiguration.discovery.bootstrapToken.token', 'joinConfiguration.discovery.tlsBootstrapToken'];
const mergeOf = (after: unknown, paths: readonly string[]): Json | undefined => {
  if (paths.length === 0) return undefined;
  const patch: Record<string, unknown> = {};
  for (const path of paths) {
    const names = path.split('.');
    let into = patch;
    for (const name of names.slice(0, -1)) into = (into[name] ??= {}) as Record<string, unknown>;
    into[names.at(-1) ?? ''] = at(after, names) ?? null;
  }
  return patch;
};
const stops = ({ current, desired }: Question): boolean =>
  at(current.infra, ['whenNotInPlace']) === 'Stop' || at(desired.infra, ['whenNotInPlace']) === 'Stop';

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
/** Image and version must tell the same: after the update the kubelet of the image is asked for its version. */
const versionFault = ({ desired, catalogue }: Question): string | undefined => {
  const [image, version] = [text(at(desired.infra, ['image'])), text(at(desired.machine, ['version']))];
  const [holds, wants] = [releaseOfImage(image, catalogue), parseRelease(version)];
  if (holds === undefined || wants === undefined || holds.text === wants.text) return undefined;
  return `image ${image} holds Kubernetes ${holds.text}, and the machine's version is ${version}: let both say the same`;
};
/** Why the image cannot be given to any host; a replacement would come to nothing as well. */
const imageFault = ({ desired, catalogue }: Question): string | undefined => {
  const image = text(at(desired.infra, ['image']));
  const entry = catalogue.find(({ name, digest }) => name === image || digest === image);
  if (entry === undefined) return `image ${image} is not in the catalogue of the rack: import it, and the rollout goes on`;
  return entry.refused === null ? undefined : `image ${image} is given to no host: ${entry.refused.reason}`;
};
const uncovered = (question: Question): readonly string[] => {
  const { current, desired } = question;
  const machine = changedPaths(comparable(current.machine), comparable(desired.machine)).filter((path) => path !== 'version');
  const infra = changedPaths(current.infra, desired.infra).filter((path) => !coveredInfra.includes(path));
  const bootstrap = changedPaths(current.bootstrap, desired.bootstrap).filter((path) => !coveredBootstrap.includes(path));
  return [
    ...machine.map((path) => `machine ${path}`),
    ...infra.map((path) => `infrastructure ${path}`),
    ...bootstrap.map((path) => `bootstrap ${path}`),
  ];
};

/**
 * Whether a new image under the same claim makes the current machine the desired one. Only workers, only BareMetalMachine, and only
 * what the host is given anew: image, Kubernetes version, join token. A change to an image that no host can be given always stops:
 * replacing the machine would only lose it.
 */
export const decide = (question: Question): Decision => {
  const { current, desired, infraKind, isControlPlane } = question;
  const no = (why: string): Decision => ({ can: false, stops: stops(question), why });
  const machine = changedPaths(current.machine, desired.machine).filter((path) => path === 'version');
  const infra = changedPaths(current.infra, desired.infra);
  const bootstrap = changedPaths(current.bootstrap, desired.bootstrap);
  const others = uncovered(question);
  if (machine.length + infra.length + bootstrap.length + others.length === 0) return { can: true, patches: {} };
  if (infraKind.group !== infraGroup || !/^BareMetalMachine(Template)?$/.test(infraKind.kind))
    return no(`${infraKind.kind} is not updated in place: only BareMetalMachine is`);
  if (isControlPlane) return no('control planes are not updated in place: a new image would lose their etcd member');
  if (others.length > 0) return no(`a new image of the host does not cover ${others.join(', ')}`);
  const fault = versionFault(question);
  if (fault !== undefined) return no(fault);
  const missing = imageFault(question);
  if (missing !== undefined) return { can: false, stops: true, why: missing };
  const patches = {
    machine: mergeOf(desired.machine, machine),
    infra: mergeOf(desired.infra, infra),
    bootstrap: mergeOf(desired.bootstrap, bootstrap),
  };
  return { can: true, patches: Object.fromEntries(Object.entries(patches).filter(([, patch]) => patch !== undefined)) };
};

type Named = Pick<Sent, 'metadata'>;
const hasControlPlaneLabel = ({ metadata: { labels = {} } }: Named): boolean =>
  labels[capi.controlPlane] !== undefined || labels[capi.controlPlaneName] !== undefined;
interface SentSide {
  readonly machine: Sent;
  readonly infra: Sent;
  readonly bootstrap: Sent | null | undefined;
}
/** The question as the hooks ask it; `template`: of the templates of a MachineSet. */
export const questionOf = (
  current: SentSide,
  desired: SentSide,
  more: { readonly catalogue: readonly ImageJson[]; readonly template: boolean },
): Question => {
  const specOf = (object: Sent | null | undefined): unknown =>
    more.template ? (at(object?.spec, ['template', 'spec']) ?? {}) : (object?.spec ?? {});
  const specs = ({ machine, infra, bootstrap }: SentSide): Specs => ({
    machine: specOf(machine),
    infra: specOf(infra),
    bootstrap: specOf(bootstrap),
  });
  const { kind, apiVersion } = desired.infra;
  return {
    current: specs(current),
    desired: specs(desired),
    infraKind: { kind, group: groupOf(apiVersion) },
    isControlPlane: hasControlPlaneLabel(desired.machine) || hasControlPlaneLabel(current.machine),
    catalogue: more.catalogue,
  };
};
