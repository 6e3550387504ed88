/** The reply to a DHCP message: pure, from what was decided about lease and boot to one packet and where it goes. */
import { broadcastOf, everyone, type Ipv4, netmaskOf, noAddress } from '../wire/address.ts';
import { encode } from '../wire/codec.ts';
import { whyNotRaw } from '../wire/dhcp-extras.ts';
import type { BootAnswer, BootClient, DhcpExtras, Lease } from '../wire/words.ts';
import { broadcastFlag, type Dhcp4, type Dhcp4Options, encodeDhcp4, MessageType, Op, pxeOptions, useBootFile } from './packet.ts';
import { serverIdFor } from './place.ts';
import type { SubnetConfig } from './subnet.ts';

/** What the reply says besides the address. */
export interface AnswerContext {
  readonly subnet: SubnetConfig;
  readonly client: BootClient;
  readonly boot: BootAnswer;
  /** The name we tell the host to use. */
  readonly hostName?: string;
  /** Of this host, over those of its subnet. */
  readonly extras?: DhcpExtras;
  /** Longest reply we send, in bytes of UDP payload. */
  readonly packetBytesMax: number;
}

const empty = new Uint8Array(0);

/** The header of RFC 2131 §4.3.1 table 3, with no address in it. */
const replyTo = (message: Dhcp4, options: Dhcp4Options): Dhcp4 => ({
  ...message,
  op: Op.reply,
  hops: 0,
  seconds: 0,
  clientAddress: noAddress,
  yourAddress: noAddress,
  nextServer: noAddress,
  serverName: '',
  bootFileName: '',
  options,
  padding: empty,
});

/**
 * Client identifier (RFC 6842) and relay information (RFC 3046 §2.2, which wants it last) come back as they were sent. Between them the boot
 * file: UEFI firmware (EDK2, PxeBcParseDhcp4Packet) writes a NUL behind it, into the tag of the option that follows, before it hands the packet
 * to the program it loads. iPXE then finds neither netmask nor router in it, takes a server behind a router for one on its own wire, and
 * waits 20 s for it. At the end there is nothing to destroy: the relay takes its own information away.
 */
const lastOptions = ({ options: { clientId, relayAgent } }: Dhcp4, bootFile?: string): Dhcp4Options => ({
  ...(clientId === undefined ? {} : { clientId }),
  ...(bootFile === undefined ? {} : { bootFile }),
  ...(relayAgent === undefined ? {} : { relayAgent }),
});

/** Options about the network, RFC 2131 §4.3.1. */
const networkOptions = ({ subnet, hostName, extras }: AnswerContext): Dhcp4Options => {
  const { router, dns = [], domain, ntp = [], mtu, raw } = extrasOver(subnet, extras);
  return {
    subnetMask: netmaskOf(subnet.cidr),
    ...(router === undefined ? {} : { routers: [router] }),
    ...(dns.length === 0 ? {} : { dnsServers: dns }),
    ...(hostName === undefined ? {} : { hostName }),
    ...(domain === undefined ? {} : { domainName: domain }),
    ...(mtu === undefined ? {} : { interfaceMtu: mtu }),
    broadcastAddress: broadcastOf(subnet.cidr),
    ...(ntp.length === 0 ? {} : { ntpServers: ntp }),
    ...rawOptions(raw ?? {}),
  };
};
/** What is said of the nearer thing holds; options by number one by one. */
export const extrasOver = (under: DhcpExtras, over: DhcpExtras = {}): DhcpExtras => {
  const { router = under.router, dns = under.dns, domain = under.domain, ntp = under.ntp, mtu = under.mtu } = over;
  const all = { router, dns, domain, ntp, mtu, raw: { ...under.raw, ...over.raw } };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
};
/** Whatever way it came here, no option of the operator's takes the place of one of ours. */
const rawOptions = (raw: Readonly<Record<string, string>>): Dhcp4Options =>
  Object.fromEntries(
    Object.entries(raw).flatMap(([code, hex]) => (whyNotRaw(code) === undefined ? [[`option${code}`, Buffer.from(hex, 'hex')]] : [])),
  );

type BootPart = Pick<Dhcp4, 'nextServer' | 'bootFileName' | 'options'>;
const noBoot: BootPart = { nextServer: noAddress, bootFileName: '', options: {} };
/** `file` ends with a NUL of its own (RFC 2131 §2). */
const bootFileNameMax = 127;
const inHeader = (name: string): string => (name.length <= bootFileNameMax ? name : '');

/**
 * What the client's stage can act on. Firmware that is not to boot from us gets neither file nor class identifier: a PXEClient answer
 * without option 43 sends UEFI to port 4011, which nobody serves, for a minute or more.
 */
const bootPart = (message: Dhcp4, { client, boot, subnet }: AnswerContext): BootPart => {
  const { clientUuid } = message.options;
  const uuid = clientUuid === undefined ? {} : { clientUuid };
  // Also without a boot file: the wait for a proxyDHCP server that does not exist is seconds of every boot.
  const ipxe: Dhcp4Options = client.stage === 'ipxe' ? { ipxe: { noProxyDhcp: 1 } } : {};
  if (boot.kind === 'local-disk' || client.stage === 'os') return { ...noBoot, options: ipxe };
  const name = boot.kind === 'chainload' ? boot.file : boot.url;
  const file: BootPart = { nextServer: subnet.serverAddress, bootFileName: inHeader(name), options: { bootFile: name } };
  if (client.stage === 'ipxe') return { ...file, options: { ...file.options, ...ipxe } };
  // UEFI HTTP Boot takes only an offer of its own class with a URI in it, and PXE firmware cannot fetch one (UEFI 2.10 §24.7).
  if (client.stage === 'http')
    return boot.kind === 'script' ? { ...file, options: { vendorClass: 'HTTPClient', ...file.options, ...uuid } } : noBoot;
  if (boot.kind === 'script') return noBoot;
  const vendorOptions = Buffer.concat([encode(pxeOptions, { discoveryControl: useBootFile }), Uint8Array.of(255)]);
  // The name stands in `file` and in 67, without a NUL: some ROMs read only the one, UEFI prefers the other.
  return { ...file, options: { vendorClass: 'PXEClient', vendorOptions, ...uuid, ...file.options } };
};

/** OFFER or ACK. Options begin with 53, 54, 51, which some ROMs look for only there. */
export const answer = (kind: 'offer' | 'ack', message: Dhcp4, lease: Lease, context: AnswerContext): Dhcp4 => {
  const { leaseSeconds } = context.subnet;
  const boot = bootPart(message, context);
  const { bootFile, ...bootOptions } = boot.options;
  const options: Dhcp4Options = {
    messageType: MessageType[kind],
    serverId: serverIdFor(message, context.subnet),
    leaseSeconds,
    ...bootOptions,
    ...networkOptions(context),
    renewalSeconds: Math.floor(leaseSeconds / 2), // RFC 2131 §4.4.5
    rebindingSeconds: Math.floor(leaseSeconds * 0.875),
    ...lastOptions(message, bootFile),
  };
  const reply: Dhcp4 = {
    ...replyTo(message, options),
    clientAddress: kind === 'ack' ? message.clientAddress : noAddress,
    yourAddress: lease.address,
    nextServer: boot.nextServer,
    bootFileName: boot.bootFileName,
  };
  return fitted(reply, message, context.packetBytesMax);
};

/** The answer to INFORM: settings without a lease (RFC 2131 §4.3.5). */
export const answerInform = (message: Dhcp4, context: AnswerContext): Dhcp4 => {
  const options = {
    messageType: MessageType.ack,
    serverId: serverIdFor(message, context.subnet),
    ...networkOptions(context),
    ...lastOptions(message),
  };
  return fitted({ ...replyTo(message, options), clientAddress: message.clientAddress }, message, context.packetBytesMax);
};

/** RFC 2131 §4.3.2: a NAK through a relay asks the relay to broadcast, as the client may have a wrong address. */
export const answerNak = (message: Dhcp4, reason: string, subnet: SubnetConfig): Dhcp4 => {
  const options = { messageType: MessageType.nak, serverId: serverIdFor(message, subnet), message: reason, ...lastOptions(message) };
  const flags = message.relayAddress === noAddress ? message.flags : message.flags | broadcastFlag;
  const reply = { ...replyTo(message, options), flags };
  return padded(reply, encodeDhcp4(reply).length);
};

/** RFC 2132 §9.10: the smallest that a client may have to take. */
const clientBytesMin = 576;
const ipAndUdpBytes = 28;
/** What a client can do without, least missed first. */
const dispensable = ['broadcastAddress', 'rebindingSeconds', 'renewalSeconds', 'ntpServers', 'domainName', 'hostName'] as const;
/** Then what the operator set by number, then what a boot from this subnet alone can live without. */
const hardToMiss = ['dnsServers', 'interfaceMtu'] as const;

/** Within option 57 and our own limit. Never by overload into `sname` and `file`: PXE ROMs read those as what they are called. */
const fitted = (reply: Dhcp4, message: Dhcp4, packetBytesMax: number): Dhcp4 => {
  const wanted = Math.max(message.options.maxMessageBytes ?? clientBytesMin, clientBytesMin);
  const most = Math.min(wanted, packetBytesMax) - ipAndUdpBytes;
  let shorter = reply;
  let bytes = encodeDhcp4(shorter).length;
  const raw = Object.keys(reply.options).filter((name) => /^option\d+$/.test(name)) as `option${number}`[];
  for (const name of [...dispensable, ...raw, ...hardToMiss]) {
    if (bytes <= most) break;
    const { [name]: _, ...options } = shorter.options;
    shorter = { ...shorter, options };
    bytes = encodeDhcp4(shorter).length;
  }
  return padded(shorter, bytes);
};

/** RFC 1542 §2.1: BOOTP messages were 300 bytes, and some relays and ROMs drop shorter ones. */
const packetBytesMin = 300;
const padded = (reply: Dhcp4, bytes: number): Dhcp4 =>
  bytes < packetBytesMin ? { ...reply, padding: new Uint8Array(packetBytesMin - bytes) } : reply;

const serverPort = 67;
const clientPort = 68;
export type Destination =
  | { readonly kind: 'datagram'; readonly address: Ipv4; readonly port: number }
  /** The client has no address yet but takes packets for the one it is about to get. */
  | { readonly kind: 'hardware'; readonly address: Ipv4; readonly port: number };

const datagramTo = (address: Ipv4, port: number): Destination => ({ kind: 'datagram', address, port });

/**
 * RFC 2131 §4.1: relay, else the client's own address, else broadcast if it asks for that, else its hardware address.
 * `behind` is the address of a client behind a relay that asked us directly: no broadcast of ours would reach it.
 */
export const destinationOf = (reply: Dhcp4, behind?: Ipv4): Destination => {
  if (reply.relayAddress !== noAddress) return datagramTo(reply.relayAddress, serverPort);
  if (reply.clientAddress !== noAddress) return datagramTo(reply.clientAddress, clientPort);
  if (behind !== undefined) return datagramTo(behind, clientPort);
  if (reply.yourAddress === noAddress || (reply.flags & broadcastFlag) !== 0) return datagramTo(everyone, clientPort);
  return { kind: 'hardware', address: reply.yourAddress, port: clientPort };
};
