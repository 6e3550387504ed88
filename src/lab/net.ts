/** The private network of a rack: a network namespace of its own with a bridge or two, so that nothing of it is seen outside. */
import { RemudaError } from '../errors.ts';
import { parseCidr4, parseIpv4 } from '../wire/address.ts';
import type { Cidr4, Ipv4 } from '../wire/address.ts';
import type { LabWorld } from '../world/lab-world.ts';

const runMs = 10_000;
/** Between SIGTERM and SIGKILL for what still runs in a namespace that goes. */
const graceMs = 2_000;

/** A second subnet that is reached by way of a router, in a namespace of its own, which also relays DHCP. */
export interface FarNet {
  readonly namespace: string;
  /** In the rack's namespace, without an address there: what is plugged in sees the router only. */
  readonly bridge: string;
  readonly cidr: Cidr4;
  /** The router's address on either side; its interfaces are called `near` and `far`. */
  readonly router: Ipv4;
  readonly nearAddress: Ipv4;
}
export interface RackNet {
  /** For `ip netns exec`. */
  readonly namespace: string;
  readonly bridge: string;
  /** Of this side of the bridge: the daemon's and the Redfish BMCs' address. */
  readonly address: Ipv4;
  readonly cidr: Cidr4;
  /** One per host; with two subnets the second half is plugged into the far one. */
  readonly taps: readonly string[];
  /** One per host, on a management network of their own: an IPMI BMC has the port 623 to itself. */
  readonly bmcAddresses: readonly Ipv4[];
  readonly far?: FarNet;
}
export interface RackNetOptions {
  /** How many hosts can be plugged in. */
  readonly taps: number;
  /** The three first parts of its /24; default `10.77.0`. The far subnet is the one after it, the management network `10.77.255`. */
  readonly prefix?: string;
  /** Default 1. */
  readonly subnets?: 1 | 2;
}

const firstBmc = 10;
const bmcBridge = 'bmc0';
const relayLinks = { near: 'relay0', far: 'relay1' } as const;

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

const address4 = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  if (address === undefined) throw new RemudaError('bad-config', `${text} is no address`);
  return address;
};
const farOf = (namespace: string, prefix: string): FarNet => {
  const [first, second, third] = prefix.split('.');
  const next = `${first}.${second}.${Number(third) + 1}`;
  const cidr = parseCidr4(`${next}.0/24`);
  if (cidr === undefined) throw new RemudaError('bad-config', `there is no subnet after ${prefix}`);
  return { namespace: `${namespace}-relay`, bridge: 'br1', cidr, router: address4(`${next}.1`), nearAddress: address4(`${prefix}.2`) };
};

/** What a rack of this name and size is called, made or not; for the process inside the namespace. Throws `bad-config`. */
export const rackNet = (name: string, { taps, prefix = '10.77.0', subnets = 1 }: RackNetOptions): RackNet => {
  const [address, cidr] = [parseIpv4(`${prefix}.1`), parseCidr4(`${prefix}.0/24`)];
  if (address === undefined || cidr === undefined) throw new RemudaError('bad-config', `${prefix} is not the start of a /24 network`);
  const namespace = namespaceOf(name);
  const management = prefix.split('.').slice(0, 2).join('.');
  return {
    namespace,
    bridge: 'br0',
    address,
    cidr,
    taps: Array.from({ length: taps }, (_, index) => `tap${index}`),
    bmcAddresses: Array.from({ length: taps }, (_, index) => address4(`${management}.255.${firstBmc + index}`)),
    ...(subnets === 1 ? {} : { far: farOf(namespace, prefix) }),
  };
};

/** The bridge that a host is plugged into, by its place in the rack. */
export const bridgeOf = ({ bridge, far, taps }: RackNet, index: number): string =>
  far !== undefined && index >= Math.ceil(taps.length / 2) ? far.bridge : bridge;

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
    if (net.far !== undefined) await makeFar(lab, net, net.far);
  } catch (error) {
    await removeRackNet(lab, name);
    throw error;
  }
  return net;
};

const setUp = (net: RackNet): readonly string[] => [
  'link set lo up',
  // A fixed address: a bridge otherwise takes the lowest of its ports', and changes it with them.
  ...bridgeUp(net.bridge, '02:00:00:77:00:01'),
  `addr add ${net.address}/24 dev ${net.bridge}`,
  ...bridgeUp(bmcBridge, '02:00:00:77:ff:01'),
  ...net.bmcAddresses.map((address) => `addr add ${address}/24 dev ${bmcBridge}`),
  ...(net.far === undefined ? [] : bridgeUp(net.far.bridge, '02:00:00:77:01:01')),
  ...net.taps.flatMap((tap, index) => [`tuntap add dev ${tap} mode tap`, `link set ${tap} master ${bridgeOf(net, index)} up`]),
];
const bridgeUp = (bridge: string, mac: string): readonly string[] => [
  `link add ${bridge} address ${mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `link set ${bridge} up`,
];

/** The router: a cable to each bridge, an address on each side, and forwarding between them. */
const makeFar = async (lab: LabWorld, { namespace, bridge }: RackNet, far: FarNet): Promise<void> => {
  await ip(lab, ['netns', 'add', far.namespace]);
  const cables = [
    `link add ${relayLinks.near} type veth peer name near netns ${far.namespace}`,
    `link add ${relayLinks.far} type veth peer name far netns ${far.namespace}`,
    `link set ${relayLinks.near} master ${bridge} up`,
    `link set ${relayLinks.far} master ${far.bridge} up`,
  ];
  await ip(lab, ['-n', namespace, '-batch', '-'], cables.join('\n'));
  const sides = [
    'link set lo up',
    `addr add ${far.nearAddress}/24 dev near`,
    `addr add ${far.router}/24 dev far`,
    'link set near up',
    'link set far up',
  ];
  await ip(lab, ['-n', far.namespace, '-batch', '-'], sides.join('\n'));
  await ip(lab, ['netns', 'exec', far.namespace, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
  await ip(lab, ['-n', namespace, 'route', 'add', far.cidr, 'via', far.nearAddress]);
};

/** Throws `bad-config` where a tap is not plugged in here: QEMU would make one of that name, which leads nowhere. */
export const checkTaps = async (lab: LabWorld, net: RackNet): Promise<void> => {
  for (const bridge of new Set(net.taps.map((_, index) => bridgeOf(net, index)))) {
    const ports = (await ip(lab, ['-o', 'link', 'show', 'master', bridge])).split('\n').map((line) => line.split(': ')[1]);
    const missing = net.taps.find((tap, index) => bridgeOf(net, index) === bridge && !ports.includes(tap));
    if (missing !== undefined)
      throw new RemudaError(
        'bad-config',
        `the namespace ${net.namespace} has no ${missing}; make its network for ${net.taps.length} hosts`,
      );
  }
};

/** Ends what still runs inside and removes the namespaces with all their interfaces; nothing where there are none. To be called from outside of them. */
export const removeRackNet = async (lab: LabWorld, name: string): Promise<void> => {
  const namespace = namespaceOf(name);
  const existing = await namespaces(lab);
  for (const one of [`${namespace}-relay`, namespace]) {
    if (!existing.includes(one)) continue;
    await endInside(lab, one);
    await ip(lab, ['netns', 'delete', one]);
  }
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
