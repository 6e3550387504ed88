/** `remuda lab --cluster`: a Kubernetes cluster from one `kubectl apply`, without any stand-in; everything is gone at the end. */
import { RemudaError } from '../../errors.ts';
import { cacheOf, clear, interrupted } from '../bench.ts';
import type { Bench, Say, Stage } from '../bench.ts';
import { build } from '../build.ts';
import { startCrew } from '../crew.ts';
import type { Crew, CrewOptions } from '../crew.ts';
import { probeKvm } from '../kvm.ts';
import { rackNet } from '../net.ts';
import { mixOf } from '../options.ts';
import type { UpOptions } from '../options.ts';
import { writeNote } from '../place.ts';
import type { Place, RackSpec } from '../place.ts';
import { planeBinaries } from '../plane/binaries.ts';
import { identityOf } from '../rack.ts';
import { followInspection, openScreen } from './follow.ts';
import type { Screen } from './follow.ts';
import { checkNetwork, providerKubeconfig, startManagement } from './management.ts';
import type { Management } from './management.ts';
import { images, pools } from './manifest.ts';
import type { ClusterWish } from './manifest.ts';
import { raise } from './raise.ts';

const minute = 60_000;
const inspectedMs = 10 * minute;
const name = 'lab';
/** A control plane of kubeadm wants two CPUs, and 1700 MiB. */
const sizes = { controlPlaneMiB: 2048, workerMiB: 768, cpus: 2, diskMiB: 6144 } as const;
/** Last parts of addresses in the rack's network, outside of its pool. */
const controlPlaneHost = 10;
/** A whole control plane is brought up by a host's first boot. */
const limits = { phoneHomeMs: 30 * minute };

/** Folders of what was built, quick when it was built before. */
const buildAll = async (bench: Bench, say: Say) => {
  say('building what hosts boot, and Kubernetes itself (quick when they were built before; the first time it takes a quarter of an hour)');
  const binaries = await planeBinaries(bench.lab, { say: (line) => say(`  ${line}`), signal: bench.interrupt });
  return {
    binaries,
    agent: await build(bench, say, 'images/build.sh', ['ramdisk']),
    firmware: await build(bench, say, 'firmware/build.sh', []),
    worker: await build(bench, say, 'images/build.sh', ['kubernetes']),
    controlPlane: await build(bench, say, 'images/build.sh', ['kubernetes-control-plane']),
  };
};
type Built = Awaited<ReturnType<typeof buildAll>>;

const rackOf = (options: UpOptions, place: Place, accel: 'kvm' | 'tcg'): RackSpec => {
  const { firmware, bmc } = mixOf(options);
  const { controlPlaneMiB, workerMiB, cpus, diskMiB } = sizes;
  const memoryMiB = [controlPlaneMiB, options.memory ?? workerMiB];
  return { name: options.name, hosts: options.hosts, firmware, bmc, folder: place.folder, accel, memoryMiB, cpus, diskMiB };
};

/** From building to cleaning up; the exit code. */
export const clusterLifetime = async (bench: Bench, options: UpOptions, { place, say }: Stage): Promise<number> => {
  const { lab, terminal, interrupt } = bench;
  if (options.hosts < 2) throw new RemudaError('bad-request', 'a cluster needs a control plane and a worker: --hosts 2 or more');
  const began = lab.clock.now();
  const net = rackNet(options.name, { taps: options.hosts });
  await checkNetwork(lab, net);
  const built = await buildAll(bench, say);
  const accel = (await probeKvm(lab, cacheOf(terminal.env))) ? 'kvm' : 'tcg';
  await clear(lab, place);
  say(
    `starting a management cluster on this machine, and ${options.hosts} virtual servers (${accel === 'kvm' ? 'KVM' : 'QEMU TCG: no working KVM here'}) with the daemon in the network namespace remuda-${options.name}`,
  );
  const host = `${net.address.split('.').slice(0, 3).join('.')}.${controlPlaneHost}`;
  const wish: ClusterWish = { name, workers: options.hosts - 1, endpoint: { host, port: 6443 } };
  let management: Management | undefined;
  const crew = await startCrew(lab, {
    ...crewOptions(built, rackOf(options, place, accel), place),
    // Nothing is behind this router; without one neither kubeadm nor a kubelet knows which address is the host's own.
    subnet: { router: net.address, reservations: [{ mac: identityOf(0).mac, address: host }] },
    before: async (rack) => {
      management = await startManagement(lab, { place, binaries: built.binaries, net: rack, say });
      return management.stop;
    },
  });
  try {
    if (management === undefined) throw new RemudaError('internal', 'the management cluster was never started');
    await writeNote(lab, place, { api: crew.api, startedAt: began });
    const screen = openScreen(lab.clock, crew.admin, options.json ? undefined : terminal);
    await bringHosts(bench, crew, built, screen);
    if (interrupt.aborted) return interrupted;
    say(`ready after ${seconds(lab.clock.now() - began)} s`);
    return await raise(bench, options, { place, say, crew, plane: management.plane, wish, began, screen });
  } finally {
    say(`\ncleaning up: some seconds (a second Ctrl-C leaves the rest to: npm run lab -- down)`);
    await crew.stop();
  }
};
const seconds = (ms: number): string => (ms / 1000).toFixed(1);

const crewOptions = ({ agent, firmware }: Built, rack: RackSpec, place: Place): CrewOptions => ({
  place,
  rack,
  agent,
  firmware,
  settings: {
    kubernetes: { kubeconfig: providerKubeconfig(place), pools: { '*': [pools.controlPlane, pools.workers] } },
    limits,
  },
});

/** Images in the catalogue, hosts in their pools and inspected. */
const bringHosts = async (bench: Bench, { admin, rack }: Crew, built: Built, screen: Screen): Promise<void> => {
  for (const [index, { name: host, mac, firmware, bmc }] of rack.hosts.entries())
    await admin.enrol({ name: host, macs: [mac], firmware, bmc, pool: index === 0 ? pools.controlPlane : pools.workers });
  const bringImages = async (): Promise<void> => {
    await admin.importImage(`${built.controlPlane}/kubernetes-control-plane.raw`, images.controlPlane);
    await admin.importImage(`${built.worker}/kubernetes.raw`, images.worker);
  };
  await Promise.all([bringImages(), followInspection(bench.lab, { screen, withinMs: inspectedMs, interrupt: bench.interrupt })]);
};
