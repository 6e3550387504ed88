/** What a machine of a template would have, for the autoscaler's scaling from zero: the smallest host that could ever fit. */
import type { HostJson } from '../../api/types.ts';
import { chooseDisk, diskRuleSchema } from '../../host/disk.ts';
import { newHost, plainProfile } from '../../host/host.ts';
import type { Host } from '../../host/host.ts';
import { byPreference, misfit, selectorSchema } from '../../host/select.ts';
import type { Wish } from '../../host/select.ts';
import { limits } from '../../limits.ts';
import type { Reconciler, Tools } from '../controller.ts';
import { capi } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Kind, KubeObject } from '../objects.ts';
import { machineTemplateSpec } from '../schema/bare-metal.ts';
import type { MachineSpec } from '../schema/bare-metal.ts';
import { writerOf } from '../runtime/writer.ts';
import { quantityOf } from './quantity.ts';
import { RackView } from './rack-view.ts';
import { diskRuleOf, poolsOf, selectorOf } from './wish.ts';

/** The host as the rulebook has it, idle: only what it is and has counts here, not who has it now. */
const idle = ({ id, name, profile, firmware, identified, inventory }: HostJson): Host => ({
  ...newHost({ id, name, state: 'enrolled', macs: [] }, 0),
  state: 'available',
  profile: { ...plainProfile, labels: profile.labels, pool: profile.pool, rack: profile.rack, failureDomain: profile.failureDomain },
  firmware,
  identified: identified === null ? null : { at: identified.at, ...wordsOf(identified) },
  inventory,
});
const wordsOf = ({ vendor, model }: NonNullable<HostJson['identified']>): { readonly vendor?: string; readonly model?: string } => ({
  ...(vendor === undefined ? {} : { vendor }),
  ...(model === undefined ? {} : { model }),
});
const around = { now: 0, awaited: undefined, places: new Map<string, number>() };

/** As Kubernetes names architectures, from what `uname -m` says. */
const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  amd64: 'amd64',
  aarch64: 'arm64',
  arm64: 'arm64',
  s390x: 's390x',
  ppc64le: 'ppc64le',
};
export interface TemplateStatus {
  readonly capacity: Readonly<Record<string, string>>;
  readonly nodeInfo: { readonly operatingSystem: string; readonly architecture?: string };
}
/** What a machine of this spec asks for, wherever it stands; undefined where the spec says nothing that is understood. */
const wishOf = (spec: MachineSpec, poolsAllowed: readonly string[]): Wish | undefined => {
  const selector = selectorSchema.safeParse(selectorOf({ spec, failureDomain: undefined, failureDomainBy: 'None', poolsAllowed }));
  const rule = diskRuleSchema.safeParse(diskRuleOf(spec));
  if (!selector.success || !rule.success) return undefined;
  return { selector: selector.data, rule: rule.data, imageBytes: 0, isNamed: spec.host !== undefined };
};
const isNamedBy = ({ host }: MachineSpec, { name, id, state }: HostJson): boolean =>
  state !== 'discovered' && (host === undefined || host === name || host === id);
/** May a machine of one of these specs ever stand on this host, by all that is known of it? What was not inspected yet may. */
export const mayStandOn = (specs: readonly MachineSpec[], poolsAllowed: readonly string[], host: HostJson): boolean =>
  specs.some((spec) => {
    const wish = wishOf(spec, poolsAllowed);
    if (wish === undefined || !isNamedBy(spec, host)) return false;
    const missed = misfit(idle(host), wish, around);
    return missed === undefined || missed.class === 'uninspected';
  });
/** undefined where no host of the rack could ever fit, or the spec says nothing that is understood. */
export const capacityOf = (spec: MachineSpec, poolsAllowed: readonly string[], hosts: readonly HostJson[]): TemplateStatus | undefined => {
  const wish = wishOf(spec, poolsAllowed);
  if (wish === undefined) return undefined;
  const fitting = hosts
    .filter((host) => isNamedBy(spec, host))
    .map(idle)
    .filter((host) => misfit(host, wish, around) === undefined);
  const inventory = fitting.toSorted(byPreference)[0]?.inventory;
  if (inventory === undefined || inventory === null) return undefined;
  const disk = chooseDisk(wish.rule, inventory.disks);
  const architecture = architectures[inventory.arch];
  // As the PCI database numbers its makers; the autoscaler knows the resource of no other one.
  const nvidia = (inventory.gpus ?? []).filter(({ vendor }) => vendor === '10de').length;
  return {
    capacity: {
      // What a kubelet counts are the threads.
      cpu: String(Math.max(inventory.cpu.threads, inventory.cpu.cores)),
      memory: quantityOf(inventory.memoryBytes),
      ...(nvidia === 0 ? {} : { 'nvidia.com/gpu': String(nvidia) }),
      ...('chosen' in disk ? { 'ephemeral-storage': quantityOf(disk.chosen.sizeBytes) } : {}),
    },
    nodeInfo: { operatingSystem: 'linux', ...(architecture === undefined ? {} : { architecture }) },
  };
};

/** One kind of template: what its machines would ask for, one after the other; nothing where it says nothing that is understood. */
export interface TemplateAdapter {
  readonly kind: Kind;
  wishesOf(object: KubeObject): readonly MachineSpec[];
}
export const bareMetalTemplate: TemplateAdapter = {
  kind: kinds.bareMetalMachineTemplate,
  wishesOf: ({ spec }) => {
    const parsed = machineTemplateSpec.safeParse(spec ?? {});
    return parsed.success ? [parsed.data.template.spec] : [];
  },
};
export const templateReconciler = (tools: Tools, adapter: TemplateAdapter = bareMetalTemplate): Reconciler => {
  const { kind } = adapter;
  const rack = new RackView(tools.metal, tools.world.clock);
  return {
    kind,
    async reconcile(key) {
      const object = tools.cache.get(kind, key);
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) return {};
      if (object.metadata.annotations?.[capi.paused] !== undefined) return {};
      const pools = poolsOf(tools.settings.pools, object.metadata.namespace ?? '');
      const wishes = adapter.wishesOf(object);
      const hosts = wishes.length === 0 ? [] : await rack.hosts();
      // As machines ask: the first wish that any host could fit.
      const after = wishes.map((spec) => capacityOf(spec, pools, hosts)).find((one) => one !== undefined);
      const again = { requeueAfterMs: limits.kubeResyncMs };
      if (after === undefined) return again;
      const before = (object.status ?? {}) as Readonly<Record<string, unknown>>;
      await writerOf(tools).setStatus(kind, object, { ...before, ...after });
      return again;
    },
  };
};
