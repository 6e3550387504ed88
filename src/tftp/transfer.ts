/** One file on its way to one client: a state machine without sockets or timers (RFC 1350 §6, RFC 2347, RFC 7440). */
import type { Ipv4 } from '../wire/address.ts';
import type { Terms } from './negotiate.ts';
import { ErrorCode, errorPacket, type Tftp } from './packet.ts';

/** An address and port: what RFC 1350 §4 calls a transfer identifier. */
export interface Peer {
  readonly address: Ipv4;
  readonly port: number;
}

/** Blocks are counted from 1 without wrap; the wire carries their number modulo 65536. */
export interface Transfer {
  readonly peer: Peer;
  readonly terms: Terms;
  readonly tries: number;
  /** The last block is shorter than the others, empty if need be: it tells the client that it was the last. */
  readonly lastBlock: number;
  /** The highest block known to have arrived. */
  readonly acknowledged: number;
  /** The highest block sent. */
  readonly sent: number;
  /** Waiting for ACK 0, the answer to our OACK. */
  readonly isNegotiating: boolean;
  /** Sends in a row without progress. */
  readonly attempts: number;
  /** A repeated ACK has already brought the window back once; the next one waits for the clock. */
  readonly hasRepeated: boolean;
  readonly bytes: number;
}

export type TransferEvent = { readonly kind: 'packet'; readonly packet: Tftp; readonly from: Peer } | { readonly kind: 'timeout' };

export type Outcome = 'done' | 'refused' | 'timeout';
export type Action =
  | { readonly kind: 'send'; readonly packet: Tftp; readonly to: Peer }
  /** DATA packets `first` … `first + count - 1`, to the peer. */
  | { readonly kind: 'send-blocks'; readonly first: number; readonly count: number }
  /** Waits anew for `timeout`; an earlier wait is over. */
  | { readonly kind: 'wait'; readonly until: number }
  | { readonly kind: 'end'; readonly outcome: Outcome; readonly reason: string };

export interface Step {
  readonly transfer: Transfer;
  readonly actions: readonly Action[];
}

/** The first packet: OACK where options were agreed on, else DATA at once. `now` in ms. */
export const beginTransfer = (
  options: { readonly peer: Peer; readonly terms: Terms; readonly bytes: number; readonly tries: number },
  now: number,
): Step => {
  const { peer, terms, bytes, tries } = options;
  const isNegotiating = terms.accepted.length > 0;
  const lastBlock = Math.floor(bytes / terms.blockBytes) + 1;
  return sendNext({ peer, terms, tries, bytes, lastBlock, acknowledged: 0, sent: 0, isNegotiating, attempts: 0, hasRepeated: false }, now);
};

/** What an event does. Total: a packet that means nothing here changes nothing. */
export const stepTransfer = (transfer: Transfer, event: TransferEvent, now: number): Step => {
  if (event.kind === 'timeout') return onTimeout(transfer, now);
  const { packet, from } = event;
  if (from.address !== transfer.peer.address || from.port !== transfer.peer.port) return onStranger(transfer, packet, from);
  if (packet.kind === 'acknowledgement') return onAcknowledgement(transfer, packet.block, now);
  // Firmware asks for the size first and ends with ERROR 8 (EDK2): an end like any other.
  if (packet.kind === 'error')
    return ended(transfer, 'refused', `error ${packet.code} from the client: ${packet.message.replace(/\0.*$/s, '')}`);
  return { transfer, actions: [] };
};

const ended = (transfer: Transfer, outcome: Outcome, reason: string): Step => ({ transfer, actions: [{ kind: 'end', outcome, reason }] });

/** RFC 1350 §4: the stranger is told, the transfer goes on. Never an error for an error. */
const onStranger = (transfer: Transfer, packet: Tftp, to: Peer): Step => ({
  transfer,
  actions: packet.kind === 'error' ? [] : [{ kind: 'send', packet: errorPacket(ErrorCode.unknownTransferId, 'unknown transfer ID'), to }],
});

const onTimeout = (transfer: Transfer, now: number): Step =>
  transfer.attempts >= transfer.tries
    ? ended(transfer, 'timeout', `no answer to ${transfer.tries} sends in a row`)
    : sendNext({ ...transfer, hasRepeated: false }, now);

const onAcknowledgement = (transfer: Transfer, block: number, now: number): Step => {
  if (transfer.isNegotiating) {
    return block === 0 ? sendNext({ ...transfer, isNegotiating: false, attempts: 0 }, now) : { transfer, actions: [] };
  }
  const arrived = (block - transfer.acknowledged) & 0xffff;
  if (arrived === 0) return onRepeated(transfer, now);
  if (arrived > transfer.sent - transfer.acknowledged) return { transfer, actions: [] };
  const acknowledged = transfer.acknowledged + arrived;
  if (acknowledged === transfer.lastBlock) return ended({ ...transfer, acknowledged }, 'done', 'all blocks acknowledged');
  return sendNext({ ...transfer, acknowledged, attempts: 0, hasRepeated: false }, now);
};

/**
 * An ACK for what was acknowledged before. In lockstep it is an echo, and answering it would double every packet from here on (the
 * Sorcerer's Apprentice, RFC 1123 §4.2.3.1). In a window it says that the next block was lost (RFC 7440 §4): answered once.
 */
const onRepeated = (transfer: Transfer, now: number): Step =>
  transfer.terms.windowBlocks === 1 || transfer.hasRepeated || transfer.sent === transfer.acknowledged
    ? { transfer, actions: [] }
    : sendNext({ ...transfer, hasRepeated: true }, now);

/** The OACK, or the window after the last block that arrived; blocks of it that were lost go again (RFC 7440 §4). */
const sendNext = (transfer: Transfer, now: number): Step => {
  const { terms, peer, acknowledged, lastBlock } = transfer;
  const wait: Action = { kind: 'wait', until: now + terms.timeoutMs };
  const attempts = transfer.attempts + 1;
  if (transfer.isNegotiating) {
    const packet: Tftp = { kind: 'optionAcknowledgement', options: terms.accepted };
    return { transfer: { ...transfer, attempts }, actions: [{ kind: 'send', packet, to: peer }, wait] };
  }
  const count = Math.min(terms.windowBlocks, lastBlock - acknowledged);
  const sent = Math.max(transfer.sent, acknowledged + count);
  return { transfer: { ...transfer, attempts, sent }, actions: [{ kind: 'send-blocks', first: acknowledged + 1, count }, wait] };
};
