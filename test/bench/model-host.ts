/** A host of the model rack as it stands in the store: half of them provisioned, half available, each behind a BMC on loopback. */
import { newHost, plainProfile } from '../../src/host/host.ts';
import type { Host } from '../../src/host/host.ts';
import { parseMac } from '../../src/wire/address.ts';

export const modelUser = { username: 'admin', password: 'model-password' };
/** Redfish and IPMI by turns. */
export const bmcOf = (index: number): { readonly protocol: 'redfish' | 'ipmi'; readonly port: number; readonly url: string } => {
  const protocol = index % 2 === 0 ? 'redfish' : 'ipmi';
  const port = 20_000 + index;
  return { protocol, port, url: `${protocol === 'redfish' ? 'http' : 'ipmi'}://127.0.0.1:${port}` };
};

export const modelHost = (index: number, now: number): Host => {
  const hex = index
    .toString(16)
    .padStart(6, '0')
    .replace(/(..)(?=.)/g, '$1:');
  const mac = parseMac(`52:54:00:${hex}`);
  if (mac === undefined) throw new Error(`no MAC for ${index}`);
  const { protocol, url } = bmcOf(index);
  const name = `m${String(index).padStart(4, '0')}`;
  const disk = { path: '/dev/nvme0n1', sizeBytes: 960_197_124_096, serial: `D${index}`, model: 'a disk' };
  const rack = Math.floor(index / 40);
  const spec = {
    id: `hmodel${index}`,
    name,
    state: 'enrolled' as const,
    macs: [mac],
    serial: `M${index}`,
    firmware: 'uefi' as const,
    bmc: { protocol, url, ...modelUser },
    profile: { ...plainProfile, labels: { tier: index % 3 === 0 ? 'gold' : 'plain' }, rack: `r${rack}`, unit: (index % 40) + 1 },
  };
  const host = newHost(spec, now);
  const inventory = {
    firmware: 'uefi' as const,
    arch: 'x86_64',
    cpu: { model: 'a processor', cores: 32, threads: 64 },
    memoryBytes: 256 * 1024 ** 3,
    disks: [{ ...disk, name: 'nvme0n1', rotational: false, removable: false, readOnly: false }],
    nics: [{ name: 'eth0', mac, linkUp: true }],
  };
  const common = { ...host, inventory, identified: { vendor: 'Remuda', model: 'Virtual host', serial: `M${index}`, at: now } };
  if (index % 2 === 0) return { ...common, state: 'available', facts: { ...host.facts, availableSince: now } };
  const digest = `sha256:${'a'.repeat(64)}`;
  const intent = {
    image: digest,
    imageName: 'debian',
    imageSizeBytes: 109_051_904,
    phoneHome: 'cloud-init' as const,
    hostName: name,
    userData: '#cloud-config\n'.padEnd(2_000, '#'),
  };
  const claim = { id: `c${index}`, owner: 'bench', generation: 1, intent, rule: { only: true as const }, disk, createdAt: now };
  const installed = { claimId: claim.id, generation: 1, digest, disk, at: now };
  return {
    ...common,
    state: 'provisioned',
    claim,
    facts: { ...host.facts, dirty: disk, installCount: 1, installed, phonedHome: { generation: 1, hostName: name, at: now } },
  };
};
