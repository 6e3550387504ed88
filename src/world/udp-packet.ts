/** An IPv4 + UDP header around a payload, for a client that has no address to answer ARP with (RFC 791 §3.1, RFC 768). */
import type { Ipv4 } from '../wire/address.ts';

export interface Endpoint {
  readonly address: Ipv4;
  readonly port: number;
}

/** The Internet checksum, RFC 1071: ones' complement of the ones' complement sum of 16-bit words. */
export const internetChecksum = (...parts: readonly Uint8Array[]): number => {
  let sum = 0;
  for (const part of parts) for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
};

const octets = (address: Ipv4): readonly number[] => address.split('.').map(Number);

/**
 * ```
 *  0      version 4, header 5 words   | 1 service 0 | 2 total length
 *  4      identification 0            | 6 flags: don't fragment
 *  8      time to live 64 | 9 UDP     | 10 header checksum
 * 12      source   16 destination
 * 20      source port  22 destination port  24 UDP length  26 checksum over pseudo header and payload
 * ```
 */
export const udpPacket = (payload: Uint8Array, from: Endpoint, to: Endpoint): Uint8Array => {
  const packet = Buffer.alloc(28 + payload.length);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0x4000, 6);
  packet[8] = 64;
  packet[9] = 17;
  packet.set(octets(from.address), 12);
  packet.set(octets(to.address), 16);
  packet.writeUInt16BE(internetChecksum(packet.subarray(0, 20)), 10);
  packet.writeUInt16BE(from.port, 20);
  packet.writeUInt16BE(to.port, 22);
  packet.writeUInt16BE(8 + payload.length, 24);
  packet.set(payload, 28);
  const pseudo = Buffer.from([
    ...octets(from.address),
    ...octets(to.address),
    0,
    17,
    (8 + payload.length) >> 8,
    (8 + payload.length) & 0xff,
  ]);
  // A sum of zero is sent as all ones: zero means "no checksum" (RFC 768).
  packet.writeUInt16BE(internetChecksum(pseudo, packet.subarray(20)) || 0xffff, 26);
  return packet;
};
