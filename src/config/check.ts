/** What a configuration cannot say of itself: whether this machine has the interfaces, the addresses and the files that it names. */
import { bootFileNames } from '../boot/decide.ts';
import { judgeConfig } from './config.ts';
import type { Config, ConfigFault } from './config.ts';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Files, Net } from '../world/world.ts';

interface Machine {
  readonly files: Pick<Files, 'stat' | 'read'>;
  readonly net: Pick<Net, 'localAddresses'>;
}
/** A line for each interface of this process' network namespace, also for one without an address or a cable (proc_pid_net(5)); /sys may show another's. */
const interfacesPath = '/proc/self/net/dev';
const presentInterfaces = async (files: Pick<Files, 'read'>): Promise<readonly string[]> => {
  let text: string;
  try {
    text = new TextDecoder().decode(await files.read(interfacesPath));
  } catch (error) {
    // A machine that does not say what it has: opening the sockets will tell.
    if (codeOf(error) === 'not-found') return [];
    throw error;
  }
  return Array.from(text.matchAll(/^\s*([^\s:]+):/gm), ([, name = '']) => name);
};

/** Interfaces that the configuration names and this machine has not; each with what it has instead. */
export const missingInterfaces = async (
  { files }: Pick<Machine, 'files'>,
  { subnets }: Pick<Config, 'subnets'>,
): Promise<readonly string[]> => {
  const present = await presentInterfaces(files);
  if (present.length === 0) return [];
  const others = present.filter((name) => name !== 'lo');
  return [...new Set(subnets.map((subnet) => subnet.interface))]
    .filter((name) => !present.includes(name))
    .map(
      (name) =>
        `this machine has no network interface ${name}; it has ${others.length === 0 ? 'none but lo' : others.join(', ')}: name one of them under subnets, or make it first`,
    );
};
const missingAddresses = ({ net }: Machine, { subnets }: Config): readonly string[] => {
  const local = net.localAddresses();
  return subnets
    .filter(({ interface: name, serverAddress }) => !local.some((one) => one.interface === name && one.address === serverAddress))
    .map(({ interface: name, serverAddress, cidr }) => {
      const [, bits = ''] = cidr.split('/');
      return `${name} does not have the address ${serverAddress} now: ip address add ${serverAddress}/${bits} dev ${name}`;
    });
};

/** Whoever boots behind a relay is in another network than we are. */
const withoutRouter = ({ subnets }: Config): readonly string[] =>
  subnets
    .filter((subnet) => subnet.relay !== undefined && subnet.router === undefined)
    .map(
      ({ cidr, serverAddress }) =>
        `hosts of ${cidr} behind the relay are told no router, so they do not reach ${serverAddress}: say router, the relay's own address in ${cidr} in most networks`,
    );

const agentFiles = ['ramdisk.json', 'vmlinuz', 'initrd.zst'];
const missingFiles = async ({ files }: Machine, { boot, keyFile, oldKeyFiles, kubernetes }: Config): Promise<readonly string[]> => {
  const wanted = [
    ...agentFiles.map((name) => ({ path: `${boot.agent}/${name}`, without: 'no host can be inspected or installed' })),
    ...bootFileNames.map((name) => ({ path: `${boot.firmware}/${name}`, without: 'hosts that need it cannot boot from the network' })),
    ...[...(keyFile === undefined ? [] : [keyFile]), ...oldKeyFiles].map((path) => ({
      path,
      without: 'the secrets in the database cannot be opened',
    })),
    ...(kubernetes === undefined || kubernetes.kubeconfig === 'in-cluster'
      ? []
      : [{ path: kubernetes.kubeconfig, without: 'the provider does not reach its management cluster' }]),
  ];
  const said = await Promise.all(
    wanted.map(async ({ path, without }) => {
      try {
        return (await files.stat(path)) === undefined ? `${path} is missing: ${without}` : undefined;
      } catch (error) {
        return `${reasonOf(error)}: ${without}`;
      }
    }),
  );
  return said.filter((one) => one !== undefined);
};

export interface CheckedConfig {
  readonly faults: readonly ConfigFault[];
  /** What is not as the configuration has it on this machine at this moment; the daemon may run on another one. */
  readonly warnings: readonly string[];
  /** With every default in its place; absent where there are faults. */
  readonly config?: Config;
}
/** Reads and judges the file. Throws `bad-config` only where it cannot be read. */
export const checkConfig = async (machine: Machine, path: string): Promise<CheckedConfig> => {
  let text: string;
  try {
    text = new TextDecoder().decode(await machine.files.read(path));
  } catch (cause) {
    if (codeOf(cause) !== 'not-found') throw cause;
    throw new RemudaError('bad-config', `there is no configuration at ${path}`, {
      cause,
      next: `name the file: remuda config check FILE; or begin one: remuda config example --minimal > ${path}`,
    });
  }
  const judged = judgeConfig(text);
  if (!('config' in judged)) return { faults: judged.faults, warnings: [] };
  const { config } = judged;
  const warnings = [
    ...(await missingInterfaces(machine, config)),
    ...missingAddresses(machine, config),
    ...withoutRouter(config),
    ...(await missingFiles(machine, config)),
  ];
  return { faults: [], warnings, config };
};
