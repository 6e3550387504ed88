/** One message and its answer: what the lease decision is asked, what the reply says, and which way it leaves. */
import { type Ipv4, type Mac, noAddress } from '../wire/address.ts';
import type { BootAnswer, BootClient, DhcpExtras } from '../wire/words.ts';
import type { UdpSocket } from '../world/world.ts';
import { answer, type AnswerContext, answerInform, answerNak, destinationOf, extrasOver } from './answer.ts';
import type { Decision, LeaseRequest } from './decide.ts';
import { type Dhcp4, MessageType } from './packet.ts';
import type { Reservation } from './subnet.ts';
import type { LeaseTable } from './table.ts';

/** A host of ours: the name and the options that it gets. */
export interface Known {
  readonly hostName?: string;
  readonly dhcp?: DhcpExtras;
  /** MACs that it had before, and that nobody has now: what is reserved for one of them is its own. */
  readonly formerMacs?: readonly Mac[];
}
export const kinds: ReadonlyMap<number | undefined, LeaseRequest['kind']> = new Map([
  [MessageType.discover, 'discover'],
  [MessageType.request, 'request'],
  [MessageType.decline, 'decline'],
  [MessageType.release, 'release'],
  [MessageType.inform, 'inform'],
]);

/** One message on its way through the server. */
export interface Exchange {
  readonly socket: UdpSocket;
  readonly message: Dhcp4;
  readonly client: BootClient;
  readonly tables: readonly [LeaseTable, ...LeaseTable[]];
  readonly request: LeaseRequest;
  readonly known: Known | undefined;
}

/** The message as far as leases go. */
export const requestOf = (
  kind: LeaseRequest['kind'],
  { options, clientMac, clientAddress }: Dhcp4,
  {
    known,
    hostName,
    overrideId,
  }: { readonly known: boolean; readonly hostName: string | undefined; readonly overrideId: Ipv4 | undefined },
): LeaseRequest => ({
  kind,
  mac: clientMac,
  known,
  clientAddress,
  ...(options.clientId === undefined ? {} : { clientId: Buffer.from(options.clientId).toString('hex') }),
  ...(hostName === undefined ? {} : { hostName }),
  ...(options.requestedAddress === undefined ? {} : { requested: options.requestedAddress }),
  ...(options.serverId === undefined ? {} : { serverId: options.serverId }),
  ...(overrideId === undefined ? {} : { overrideId }),
});

export const reservationIn = (tables: readonly LeaseTable[], mac: Mac): Reservation | undefined =>
  tables.map(({ assignable }) => assignable.reservationOf(mac)).find((reservation) => reservation !== undefined);

/** What the client calls itself, where that is a host name (RFC 1123 §2.1); some end it with a NUL. */
export const hostNameOf = ({ options }: Dhcp4): string | undefined => {
  const name = options.hostName?.replace(/\0+$/, '');
  return name !== undefined && /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/.test(name) ? name : undefined;
};

/** What was decided on it, in which subnet. */
export interface Decided {
  readonly table: LeaseTable;
  readonly decision: Decision;
  readonly boot: BootAnswer | undefined;
}
/** The packet that says so; undefined where silence does. */
export const replyFor = (
  { message, client, known }: Exchange,
  { table, decision, boot }: Decided,
  packetBytesMax: number,
): Dhcp4 | undefined => {
  const { subnet } = table;
  const reserved = reservationIn([table], client.mac);
  // The name we give the host, not the one it calls itself.
  const hostName = known?.hostName ?? reserved?.hostName;
  const context: AnswerContext = {
    subnet,
    client,
    boot: boot ?? { kind: 'local-disk' },
    packetBytesMax,
    extras: extrasOver(reserved ?? {}, known?.dhcp),
    ...(hostName === undefined ? {} : { hostName }),
  };
  if ('lease' in decision) return answer(decision.outcome, message, decision.lease, context);
  if (decision.outcome === 'nak') return answerNak(message, decision.reason, subnet);
  return decision.outcome === 'inform' ? answerInform(message, context) : undefined;
};

/** Sends a reply to where RFC 2131 §4.1 wants it. */
export const send = ({ socket, message }: Exchange, { subnet }: LeaseTable, reply: Dhcp4, bytes: Uint8Array): void => {
  const isBehindRelay = subnet.relay !== undefined && message.clientAddress !== noAddress;
  const to = destinationOf(reply, isBehindRelay ? message.clientAddress : undefined);
  if (to.kind === 'datagram') socket.send(bytes, { address: to.address, port: to.port });
  else socket.sendToHardware(bytes, { mac: reply.clientMac, address: to.address, port: to.port });
};
