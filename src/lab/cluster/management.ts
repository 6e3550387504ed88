/** The management cluster beside the rack: it runs on this machine, a cable makes it a neighbour of the hosts, and the daemon is its provider. */
import { fileURLToPath } from 'node:url';
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import type { Say } from '../bench.ts';
import type { RackNet } from '../net.ts';
import { plugIn } from '../plane/cable.ts';
import { kubeconfigText } from '../plane/kubeconfig.ts';
import { startPlane } from '../plane/management.ts';
import type { Plane } from '../plane/management.ts';
import { objectsOf } from '../plane/manifests.ts';
import { readText } from '../plane/pki.ts';
import type { Place } from '../place.ts';
import type { PlaneObject } from '../plane/door.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));
const manifestsMs = 60_000;
const ipMs = 10_000;
/** What only a provider in a pod of its own has a use for; here the daemon is it. */
const dropped = ['Deployment', 'Secret'];
/** Of the package, as `remuda capi manifests` writes it. */
const provider = { namespace: 'remuda-system', account: 'remuda-controller' };

export const planeFolder = ({ folder }: Place): string => `${folder}/plane`;
/** By which the daemon reaches it, with the rights of a provider and no more. */
export const providerKubeconfig = ({ folder }: Place): string => `${folder}/provider.kubeconfig`;

/** Throws `conflict` where this machine is in the rack's network already: it would have two ways into it. */
export const checkNetwork = async (lab: LabWorld, { cidr }: Pick<RackNet, 'cidr'>): Promise<void> => {
  const { stdout } = await lab.processes.run('ip', ['-o', '-4', 'address', 'show', 'to', cidr], { timeoutMs: ipMs });
  const [, device, , address] = stdout.trim().split(/\s+/);
  if (device === undefined || address === undefined) return;
  throw new RemudaError(
    'conflict',
    `this machine has ${address} at ${device}, in ${cidr}, the network of the laboratory's servers: end the other laboratory that has a cluster (npm run lab -- down --name NAME), or take that address away`,
    { values: { device, address } },
  );
};

/** What the provider puts into a management cluster, as any user gets it. */
const providerObjects = async (lab: LabWorld, folder: string): Promise<readonly PlaneObject[]> => {
  const { code, stderr } = await lab.processes.run(process.execPath, [main, 'capi', 'manifests', '--out', folder], {
    timeoutMs: manifestsMs,
  });
  if (code !== 0) throw new RemudaError('internal', `remuda capi manifests --out ${folder} failed: ${stderr.trim()}`);
  return objectsOf(await readText(lab, `${folder}/infrastructure-components.yaml`)).filter(({ kind }) => !dropped.includes(kind));
};

export interface Management {
  readonly plane: Plane;
  readonly stop: () => Promise<void>;
}
export interface ManagementOptions {
  readonly place: Place;
  /** The programs, from `planeBinaries`. */
  readonly binaries: string;
  readonly net: RackNet;
  readonly say: Say;
}
/** Ready for the daemon and for `kubectl apply`, or nothing left behind. Needs root. */
export const startManagement = async (lab: LabWorld, { place, binaries, net, say }: ManagementOptions): Promise<Management> => {
  const objects = await providerObjects(lab, `${place.folder}/manifests`);
  const cable = await plugIn(lab, net);
  let plane: Plane | undefined;
  const stop = async (): Promise<void> => {
    await plane?.stop();
    await cable.unplug();
  };
  try {
    plane = await startPlane(lab, { binaries, folder: planeFolder(place), address: cable.address, objects, say });
    const token = await plane.door.tokenFor(provider.namespace, provider.account);
    await lab.files.write(providerKubeconfig(place), kubeconfigText({ ...plane.access, token }, 'remuda'), 0o600);
    return { plane, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
