/** A cable from this machine's own network into a rack's bridge: an API server that runs here is then a neighbour of the rack's hosts. */
import { RemudaError } from '../../errors.ts';
import type { LabWorld } from '../../world/lab-world.ts';
import type { RackNet } from '../net.ts';

const runMs = 10_000;

export interface Cable {
  /** Of this machine, on the rack's network. */
  readonly address: string;
  /** Once more is no error. It goes by itself with the rack's namespace. */
  unplug(): Promise<void>;
}

const ip = async (lab: LabWorld, args: readonly string[]): Promise<void> => {
  const { code, stderr } = await lab.processes.run('ip', args, { timeoutMs: runMs });
  if (code !== 0) throw new RemudaError('internal', `ip ${args.join(' ')} failed: ${stderr.trim()}`, { values: { code } });
};

/**
 * Plugs in; needs root. `host` is the last part of the address: one that the daemon's DHCP gives to nobody. Only one rack of a network can be
 * reached at a time, as this machine then knows one way to that network.
 */
export const plugIn = async (
  lab: LabWorld,
  net: Pick<RackNet, 'namespace' | 'bridge' | 'cidr' | 'address'>,
  host = 250,
): Promise<Cable> => {
  const address = `${net.address.split('.').slice(0, 3).join('.')}.${host}`;
  // Linux takes fifteen letters.
  const end = `rmd${Buffer.from(lab.random.bytes(4)).toString('hex')}`;
  await ip(lab, ['link', 'add', end, 'type', 'veth', 'peer', 'name', end, 'netns', net.namespace]);
  const unplug = async (): Promise<void> => {
    await lab.processes.run('ip', ['link', 'del', end], { timeoutMs: runMs });
  };
  try {
    await ip(lab, ['-n', net.namespace, 'link', 'set', end, 'master', net.bridge, 'up']);
    await ip(lab, ['addr', 'add', `${address}/24`, 'dev', end]);
    await ip(lab, ['link', 'set', end, 'up']);
  } catch (error) {
    await unplug();
    throw error;
  }
  return { address, unplug };
};
