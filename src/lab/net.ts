/** The private network of a rack: a network namespace of its own with one bridge, so that nothing of it is seen outside. */
import { RemudaError } from '../errors.ts';
import { parseCidr4, parseIpv4 } from '../wire/address.ts';
import type { Cidr4, Ipv4 } from '../wire/address.ts';
import type { LabWorld } from '../world/lab-world.ts';

const runMs = 10_000;
/** Between SIGTERM and SIGKILL for what still runs in a namespace that goes. */
const graceMs = 2_000;

export interface RackNet {
  /** For `ip netns exec`. */
  readonly namespace: string;
  readonly bridge: string;
  /** Of this side of the bridge: the daemon's and the BMCs' address. */
  readonly address: Ipv4;
  readonly cidr: Cidr4;
  /** One per host. */
  readonly taps: readonly string[];
}
export interface RackNetOptions {
  /** How many hosts can be plugged in. */
  readonly taps: number;
  /** The three first parts of its /24; default `10.77.0`. */
  readonly prefix?: string;
}

/** Runs `ip`; throws `internal` with what it said. */
const ip = async (lab: LabWorld, args: readonly string[], input = ''): Promise<string> => {
  const { code, stdout, stderr } = await lab.processes.run('ip', args, { timeoutMs: runMs, input });
  if (code !== 0) throw new RemudaError('internal', `ip ${args.join(' ')} failed: ${stderr.trim()}`, { values: { code } });
  return stdout;
};

const namespaceOf = (name: string): string => {
  if (!/^[a-z0-9-]{1,40}$/.test(name))
    throw new RemudaError('bad-config', `a rack's name has lower-case letters, digits and dashes only, not ${name}`);
  return `remuda-${name}`;
};

/** What a rack of this name and size is called, made or not; for the process inside the namespace. Throws `bad-config`. */
export const rackNet = (name: string, { taps, prefix = '10.77.0' }: RackNetOptions): RackNet => {
  const [address, cidr] = [parseIpv4(`${prefix}.1`), parseCidr4(`${prefix}.0/24`)];
  if (address === undefined || cidr === undefined) throw new RemudaError('bad-config', `${prefix} is not the start of a /24 network`);
  return { namespace: namespaceOf(name), bridge: 'br0', address, cidr, taps: Array.from({ length: taps }, (_, index) => `tap${index}`) };
};

/**
 * Makes the namespace anew, after removing what a crashed run of the same name left; needs root.
 * The bridge forwards from the first packet: no spanning tree, and no snooping, which would drop the multicast that nobody joined.
 */
export const makeRackNet = async (lab: LabWorld, name: string, options: RackNetOptions): Promise<RackNet> => {
  const net = rackNet(name, options);
  await removeRackNet(lab, name);
  await ip(lab, ['netns', 'add', net.namespace]);
  try {
    await ip(lab, ['-n', net.namespace, '-batch', '-'], setUp(net).join('\n'));
  } catch (error) {
    await removeRackNet(lab, name);
    throw error;
  }
  return net;
};

const setUp = ({ bridge, address, taps }: RackNet): readonly string[] => [
  'link set lo up',
  // A fixed address: a bridge otherwise takes the lowest of its ports', and changes it with them.
  `link add ${bridge} address 02:00:00:77:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `addr add ${address}/24 dev ${bridge}`,
  `link set ${bridge} up`,
  ...taps.flatMap((tap) => [`tuntap add dev ${tap} mode tap`, `link set ${tap} master ${bridge} up`]),
];

/** Throws `bad-config` where a tap is not plugged in here: QEMU would make one of that name, which leads nowhere. */
export const checkTaps = async (lab: LabWorld, { namespace, bridge, taps }: RackNet): Promise<void> => {
  const ports = (await ip(lab, ['-o', 'link', 'show', 'master', bridge])).split('\n').map((line) => line.split(': ')[1]);
  const missing = taps.find((tap) => !ports.includes(tap));
  if (missing !== undefined)
    throw new RemudaError('bad-config', `the namespace ${namespace} has no ${missing}; make its network for ${taps.length} hosts`);
};

/** Ends what still runs inside and removes the namespace with all its interfaces; nothing where there is none. To be called from outside of it. */
export const removeRackNet = async (lab: LabWorld, name: string): Promise<void> => {
  const namespace = namespaceOf(name);
  if (!(await namespaces(lab)).includes(namespace)) return;
  await endInside(lab, namespace);
  await ip(lab, ['netns', 'delete', namespace]);
};

/** `ip netns list` prints one name per line, with an id where the kernel gave one. */
const namespaces = async (lab: LabWorld): Promise<readonly string[]> =>
  (await ip(lab, ['netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');

/** The processes in it, each with its start time; a namespace whose mount is broken has none. */
const inside = async (lab: LabWorld, namespace: string): Promise<readonly (readonly [number, number])[]> => {
  const { stdout } = await lab.processes.run('ip', ['netns', 'pids', namespace], { timeoutMs: runMs });
  return stdout.split('\n').flatMap((line) => {
    const startTime = line === '' ? undefined : lab.processes.startTimeOf(Number(line));
    return startTime === undefined ? [] : [[Number(line), startTime] as const];
  });
};

const endInside = async (lab: LabWorld, namespace: string): Promise<void> => {
  const until = lab.clock.now() + graceMs;
  let left = await inside(lab, namespace);
  for (const [pid, startTime] of left) lab.processes.signal(pid, startTime, 'SIGTERM');
  while (left.length > 0 && lab.clock.now() < until) {
    await lab.clock.sleep(50);
    left = left.filter(([pid, startTime]) => lab.processes.alive(pid, startTime));
  }
  for (const [pid, startTime] of left) lab.processes.signal(pid, startTime, 'SIGKILL');
};
