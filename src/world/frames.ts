/** IPv6 packets straight onto a link, for the laboratory's router advertisements: an AF_PACKET socket, which needs root. */
import { RemudaError, reasonOf } from '../errors.ts';
import { closeDescriptor, interfaceIndex, linux, openSocket, sendLink } from './libc.ts';
import type { Frames } from './lab-world.ts';

/** Its sockets end with `world`. */
export const realFrames = (world: AbortSignal): Frames => ({
  openIpv6: (name) => {
    world.throwIfAborted();
    const index = interfaceIndex(name);
    if (index === 0) throw new RemudaError('not-found', `there is no network interface ${name}`, { values: { interface: name } });
    let fd: number | undefined = openSocket(linux.AF_PACKET, linux.SOCK_DGRAM);
    const close = (): void => {
      if (fd !== undefined) closeDescriptor(fd);
      fd = undefined;
      world.removeEventListener('abort', close);
    };
    world.addEventListener('abort', close, { once: true });
    return {
      send: (packet, mac) => {
        if (fd === undefined) return;
        const hardware = Buffer.from(mac.replaceAll(':', ''), 'hex');
        try {
          sendLink(fd, packet, { index, hardware, protocol: linux.ETH_P_IPV6 });
        } catch (cause) {
          throw new RemudaError('internal', `cannot send on ${name}: ${reasonOf(cause)}`, { cause, values: { interface: name } });
        }
      },
      close,
    };
  },
});
