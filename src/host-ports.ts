/** Where hosts come to: the ports of each interface and address, and the HTTP listeners among them. */
import { agentRoutes, bootRoutes } from './api/boot-routes.ts';
import type { BootDeps } from './api/boot-routes.ts';
import type { Config } from './config/config.ts';
import { meteredRoutes } from './metering.ts';
import type { Ipv4 } from './wire/address.ts';
import type { HttpListen, Identity, Listener, Meter, World } from './world/world.ts';

/** A port that hosts come to. */
export interface HostPort {
  readonly name: 'dhcp' | 'tftp' | 'boot' | 'agent';
  readonly interface: string;
  /** DHCP listens to all of them. */
  readonly address?: Ipv4;
  readonly port: number;
  /** Is it still ours, and the interface still there? */
  readonly isOpen: () => boolean;
}

/** Where hosts reach us: an address on an interface, once, however many subnets behind relays come in there. */
export const doorsOf = ({ subnets }: Config): readonly { readonly interface: string; readonly serverAddress: Ipv4 }[] => {
  const doors = new Map(
    subnets.map(({ interface: name, serverAddress }) => [`${name} ${serverAddress}`, { interface: name, serverAddress }]),
  );
  return Array.from(doors.values());
};

export interface BootListener {
  readonly listener: Listener;
  readonly port: HostPort;
}
/** The boot listeners of each door: plain HTTP for what firmware fetches, TLS for the agents. */
export const listenForBoots = async (
  world: World,
  config: Config,
  deps: BootDeps,
  { identity, meter }: { readonly identity: Identity; readonly meter: Meter },
): Promise<readonly BootListener[]> => {
  const listeners: BootListener[] = [];
  const { httpPort, agentPort } = config.boot;
  for (const { serverAddress: address, interface: name } of doorsOf(config)) {
    const listen = async (what: 'boot' | 'agent', port: number, options: Omit<HttpListen, 'at'>): Promise<void> => {
      const listener = await world.http.listen({ at: { address, port, interface: name }, ...options });
      const isOpen = (): boolean => listener.isListening?.() ?? true;
      listeners.push({ listener, port: { name: what, interface: name, address, port, isOpen } });
    };
    await listen('boot', httpPort, { routes: meteredRoutes(bootRoutes(deps, address), meter) });
    await listen('agent', agentPort, { routes: meteredRoutes(agentRoutes(deps, address), meter), identity });
  }
  return listeners;
};
