/** The far subnet as the daemon sees it: what its configuration says, and the DHCP relay that stands before it. */
import { RemudaError } from '../errors.ts';
import type { Ipv4 } from '../wire/address.ts';
import type { LabProcess, LabWorld } from '../world/lab-world.ts';
import type { FarNet, RackNet } from './net.ts';

const versionMs = 10_000;
/** Of a /24, by its first address. */
const poolOf = (first: Ipv4) => {
  const prefix = first.split('.').slice(0, 3).join('.');
  return { from: `${prefix}.50`, to: `${prefix}.200` };
};

/** `subnets` of remuda.yaml; `more` of the one that the daemon itself is in. */
export const subnetsOf = ({ bridge, cidr, address, far }: RackNet, more: object = {}): readonly object[] => [
  { interface: bridge, cidr, serverAddress: address, pool: poolOf(address), ...more },
  ...(far === undefined
    ? []
    : [{ relay: { via: bridge, addresses: [far.router] }, cidr: far.cidr, router: far.router, pool: poolOf(far.router) }]),
];

/** ISC's dhcrelay on the router; it ends by SIGTERM. Throws `not-found` where it is not installed. */
export const startRelay = async (lab: LabWorld, { address }: RackNet, far: FarNet, log: string): Promise<LabProcess> => {
  try {
    await lab.processes.run('dhcrelay', ['--version'], { timeoutMs: versionMs });
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'not-found')
      throw new RemudaError(
        'not-found',
        'there is no dhcrelay for a second subnet; install the package isc-dhcp-relay (its service may stay off), or ask for one subnet',
        { cause: error },
      );
    throw error;
  }
  const args = ['-4', '-d', '--no-pid', '-id', 'far', '-iu', 'near', address];
  return lab.processes.spawn('ip', ['netns', 'exec', far.namespace, 'dhcrelay', ...args], { stdout: { file: log }, stderr: { file: log } });
};
