/** Our real DHCP and TFTP servers in one process, on interface rack0 with 10.77.0.1 unless told otherwise: what they save and see goes out as JSON lines. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDhcp } from '../../src/dhcp/server.ts';
import type { SubnetConfig } from '../../src/dhcp/subnet.ts';
import { limits } from '../../src/limits.ts';
import { startTftp } from '../../src/tftp/server.ts';
import type { Cidr4, Ipv4 } from '../../src/wire/address.ts';
import type { Lease } from '../../src/wire/words.ts';
import { realWorld } from '../../src/world/real.ts';
import { ip } from '../world/fake.ts';
import type { ServeOptions, Told } from './dhcp-tftp-cable.ts';

const options = JSON.parse(process.argv[2] ?? '') as ServeOptions;
const tell = (told: Told): void => void process.stdout.write(`${JSON.stringify(told)}\n`);
const world = realWorld({ signal: new AbortController().signal, log: { level: 'error', destination: 'stderr' } });

const subnet: SubnetConfig = {
  interface: 'rack0',
  cidr: '10.77.0.0/24' as Cidr4,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.77.0.50'), to: ip('10.77.0.99') },
  router: ip('10.77.0.254'),
  dns: [ip('10.77.0.1')],
  domain: 'rack.example',
  leaseSeconds: options.leaseSeconds,
  reservations: [],
};
const dhcp = await startDhcp(
  world,
  options.subnets?.map((one) => ({ ...one, leaseSeconds: options.leaseSeconds })) ?? [subnet],
  {
    known: (mac) => (options.known?.includes(mac) === true ? { hostName: 'one' } : undefined),
    bootFor: (client) => (client.stage === 'firmware' ? { kind: 'chainload', file: 'snponly.efi' } : { kind: 'local-disk' }),
    observe: (observation) => tell({ kind: 'observed', observation }),
    loadLeases: async () => [],
    saveLeases: async (leases: readonly Lease[], freed: readonly Ipv4[]) => tell({ kind: 'saved', leases, freed }),
  },
  limits,
);

const files = new Map(readdirSync(options.folder).map((name) => [name, readFileSync(join(options.folder, name))]));
const tftp = await startTftp(
  world,
  { address: subnet.serverAddress, port: 69 },
  { open: (name) => files.get(name), observe: (observation) => tell({ kind: 'observed', observation }) },
  limits,
);

process.on('SIGUSR2', () =>
  tell({ kind: 'counters', dhcp: dhcp.counters, tftp: tftp.counters, leases: dhcp.leases().length, others: dhcp.otherServers() }),
);
tell({ kind: 'ready' });
