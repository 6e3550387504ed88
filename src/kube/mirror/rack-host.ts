/** A host of the rack as kubectl shows it: name and status. Pure; nothing of it is a secret. */
import type { HostJson } from '../../api/types.ts';
import { quantityOf } from '../machine/quantity.ts';
import type { RackHostStatus } from '../schema/bare-metal.ts';

/** On every object of the mirror: the ID of its host. */
export const hostIdLabel = 'baremetal.infrastructure.cluster.x-k8s.io/host-id';

/** RFC 1123 subdomain: what Kubernetes takes as a name. */
const dnsName = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .split('.')
    .map((label) => label.slice(0, 63).replaceAll(/^-+|-+$/g, ''))
    .filter((label) => label !== '')
    .join('.')
    .slice(0, 200)
    .replaceAll(/^[.-]+|[.-]+$/g, '');
/** Every host by the name of its object; where two would have the same, each but the oldest bears its ID. */
export const objectNames = (hosts: readonly HostJson[]): ReadonlyMap<string, HostJson> => {
  const named = new Map<string, HostJson>();
  const inOrder = hosts.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  for (const host of inOrder) {
    const plain = dnsName(host.name);
    const own = dnsName(`${plain === '' ? 'host' : plain}-${host.id}`);
    named.set(plain === '' || named.has(plain) ? own : plain, host);
  }
  return named;
};

const said = <T>(name: string, value: T | null | undefined): Record<string, T> =>
  value === null || value === undefined ? {} : { [name]: value };
const cut = (text: string | null | undefined, most: number): string | undefined => text?.slice(0, most);
const hardwareOf = ({ inventory, identified, firmware, serial }: HostJson): RackHostStatus['hardware'] => {
  const vendor = identified?.vendor ?? inventory?.vendor;
  const model = identified?.model ?? inventory?.product;
  const words = {
    ...said('vendor', vendor),
    ...said('model', model),
    ...said('serial', cut(serial ?? identified?.serial ?? inventory?.serial, 256)),
  };
  if (inventory === null) return { ...words, ...said('firmware', firmware) };
  return {
    ...words,
    arch: inventory.arch.slice(0, 32),
    firmware: firmware ?? inventory.firmware,
    cores: inventory.cpu.cores,
    memory: quantityOf(inventory.memoryBytes),
    disks: inventory.disks.map((disk) => ({ path: disk.path, size: quantityOf(disk.sizeBytes), ...said('serial', disk.serial) })),
    nics: inventory.nics.length,
    ...said('gpus', inventory.gpus?.length),
  };
};
export const rackHostStatusOf = (host: HostJson): RackHostStatus => {
  const { profile, held, failed, claim, bmc } = host;
  const hardware = hardwareOf(host);
  return {
    id: host.id,
    state: host.state,
    power: host.facts.power,
    doing: host.doing.slice(0, 2048),
    ...said('held', held === null ? undefined : `by ${held.by}: ${held.why}`.slice(0, 1024)),
    ...said('failed', failed === null ? undefined : `at ${failed.step}: ${failed.reason}`.slice(0, 2048)),
    pool: profile.pool,
    ...said('rack', profile.rack),
    ...said('unit', profile.unit),
    ...said('failureDomain', profile.failureDomain),
    ...(Object.keys(profile.labels).length === 0 ? {} : { labels: profile.labels }),
    ...(host.macs.length === 0 ? {} : { macs: host.macs.slice(0, 64) }),
    ...said('bmc', bmc === null ? undefined : `${bmc.protocol} ${bmc.url}`.slice(0, 512)),
    ...(hardware === undefined || Object.keys(hardware).length === 0 ? {} : { hardware }),
    ...said(
      'claim',
      claim === null
        ? undefined
        : { id: claim.id, owner: claim.owner, image: claim.image.name, generation: claim.generation, hostName: claim.hostName },
    ),
    ...said('reservedFor', host.reservation?.for),
  };
};
