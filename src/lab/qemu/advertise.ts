/** Router advertisements that say nothing, for the laboratory's link: without one, iPXE waits up to 16 s for a router before it boots by IPv4. */
import type { Mac } from '../../wire/address.ts';
import type { LabWorld } from '../../world/lab-world.ts';

const everyMs = 500;
/** fe80::1; nobody ever answers to it, because the router lifetime is zero. */
const source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/** ff02::1, all nodes of the link, and its hardware address (RFC 2464 §7). */
const allNodes = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const allNodesMac = '33:33:00:00:00:01' as Mac;
const icmp6 = 58;

/** The checksum of RFC 1071 over an even number of bytes. */
const checksum = (bytes: readonly number[]): number => {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

/**
 * An IPv6 packet with a router advertisement (RFC 4861 §4.2): no default router (lifetime 0), no prefix, no DHCPv6 (flags 0).
 * type 134, code 0, checksum, hop limit 64, flags, router lifetime, reachable time, retransmission timer
 */
export const routerAdvertisement = (): Uint8Array => {
  const message = [134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  // RFC 8200 §8.1: the pseudo-header counts addresses, length and next header.
  const sum = checksum([...source, ...allNodes, 0, 0, 0, message.length, 0, 0, 0, icmp6, ...message]);
  message[2] = sum >>> 8;
  message[3] = sum & 0xff;
  // RFC 4861 §6.1.2: what does not arrive with hop limit 255 came from elsewhere and is dropped.
  return Uint8Array.from([0x60, 0, 0, 0, 0, message.length, icmp6, 255, ...source, ...allNodes, ...message]);
};

/** Sends one now and every 500 ms until the returned function ends it; runs inside the rack's namespace. Throws `not-found` without the interface. */
export const advertise = (lab: LabWorld, interfaceName: string): (() => void) => {
  const socket = lab.frames.openIpv6(interfaceName);
  const packet = routerAdvertisement();
  let cancel: (() => void) | undefined;
  const send = (): void => {
    cancel = lab.clock.after(everyMs, send);
    try {
      socket.send(packet, allNodesMac);
    } catch (error) {
      lab.log.debug('no router advertisement', { interface: interfaceName, error });
    }
  };
  send();
  return () => {
    cancel?.();
    socket.close();
  };
};
