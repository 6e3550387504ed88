/**
 * Boot tickets, agent credentials and phone-home tokens: unguessable words that say for which host, boot and generation they are good.
 * They are HMACs over what they say, so the same DHCP question gets the same URL again, also after a restart, and nothing about them is stored.
 * A MAC, a UUID or an address alone is never enough for any of them.
 */
import { createHash, createHmac, timingSafeEqual, verify, createPublicKey } from 'node:crypto';
import type { Ipv4 } from '../wire/address.ts';
import { ipv4From, ipv4Number } from '../wire/address.ts';
import { openBoot } from '../host/host.ts';
import type { Claim, Host } from '../host/host.ts';
import type { Code } from '../errors.ts';

export interface Ticket {
  readonly hostId: string;
  readonly boot: number;
  readonly generation: number;
  /** The lease that the ticket was handed out with. */
  readonly address: Ipv4;
  /** ms since 1970 */
  readonly expiresAt: number;
}
type Refusal = { readonly refused: Code; readonly reason: string };

/** 128 bits of HMAC-SHA-256, base64url. The kind keeps a word of one kind from passing as another. */
const sign = (secret: Uint8Array, kind: string, said: string): string =>
  createHmac('sha256', secret).update(`${kind}\n${said}`).digest().subarray(0, 16).toString('base64url');
const seal = (secret: Uint8Array, kind: string, said: string): string => `${said}.${sign(secret, kind, said)}`;
/** What a sealed word says; undefined where the seal is not ours. */
const unseal = (secret: Uint8Array, kind: string, word: string): readonly string[] | undefined => {
  const cut = word.lastIndexOf('.');
  if (cut < 0 || word.length > 256) return undefined;
  const said = word.slice(0, cut);
  const expected = Buffer.from(sign(secret, kind, said));
  const given = Buffer.from(word.slice(cut + 1));
  return given.length === expected.length && timingSafeEqual(given, expected) ? said.split('.') : undefined;
};
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 16);

export const mintTicket = (secret: Uint8Array, ticket: Ticket): string =>
  seal(
    secret,
    'ticket',
    [ticket.hostId, ticket.boot, ticket.generation, ipv4Number(ticket.address).toString(36), ticket.expiresAt.toString(36)].join('.'),
  );

export const readTicket = (secret: Uint8Array, word: string): Ticket | undefined => {
  const [hostId, boot, generation, address, expiresAt] = unseal(secret, 'ticket', word) ?? [];
  if (hostId === undefined || boot === undefined || generation === undefined || address === undefined || expiresAt === undefined)
    return undefined;
  return {
    hostId,
    boot: Number(boot),
    generation: Number(generation),
    address: ipv4From(parseInt(address, 36)),
    expiresAt: parseInt(expiresAt, 36),
  };
};

/**
 * Is the ticket still good for the host it names, for its script or for redeeming it? The script is there until the ticket is redeemed.
 * A redeemed ticket is still heard: the rulebook tells the same agent asking again from a second one.
 */
export const judgeTicket = (
  host: Host | undefined,
  ticket: Ticket | undefined,
  asked: { readonly for: 'script' | 'redeem'; readonly peer: Ipv4 | undefined; readonly now: number },
): Refusal | undefined => {
  const { peer, now } = asked;
  if (host === undefined || ticket === undefined) return { refused: 'ticket-invalid', reason: 'this is not a ticket of ours' };
  if (peer !== ticket.address) return { refused: 'ticket-invalid', reason: 'the ticket was handed to another address' };
  if (host.boot?.number === ticket.boot && host.boot.contestedAt !== undefined)
    return { refused: 'boot-contested', reason: `boot ${ticket.boot} of ${host.name} is contested` };
  if (now >= ticket.expiresAt) return { refused: 'ticket-expired', reason: `the ticket of boot ${ticket.boot} has expired` };
  const heard = asked.for === 'redeem' && host.boot?.number === ticket.boot && host.boot.redeemed !== undefined;
  if (heard) return undefined;
  if (openBoot(host)?.number !== ticket.boot) return { refused: 'ticket-stale', reason: `boot ${ticket.boot} of ${host.name} is over` };
  if (host.boot?.redeemed !== undefined)
    return { refused: 'ticket-stale', reason: `the ticket of boot ${ticket.boot} of ${host.name} was redeemed` };
  if ((host.claim?.generation ?? 0) !== ticket.generation)
    return { refused: 'ticket-stale', reason: `the ticket is of generation ${ticket.generation}, the host's intent is not` };
  // As decideBoot has it. An agent that runs already may come in: it is given no work.
  if (asked.for === 'script' && (host.held !== null || host.failed !== null))
    return { refused: 'state-conflict', reason: `${host.name} ${host.held === null ? 'has failed' : 'is held'}: nothing is booted` };
  return undefined;
};

/** Does the signature show that the agent holds the key it names? Ed25519 over `remuda-redeem\n` and the ticket, RFC 8032. */
export const ownsKey = (publicKey: string, signature: string, ticketWord: string): boolean => {
  const raw = Buffer.from(publicKey, 'base64');
  if (raw.length !== 32) return false;
  // RFC 8410 §4: SubjectPublicKeyInfo of an Ed25519 key is this prefix and the key.
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]);
  return verify(
    null,
    Buffer.from(`remuda-redeem\n${ticketWord}`),
    createPublicKey({ key: der, format: 'der', type: 'spki' }),
    Buffer.from(signature, 'base64'),
  );
};

/** The word an agent carries in all its calls: good for one boot and one key. */
export const mintCredential = (
  secret: Uint8Array,
  of: { readonly hostId: string; readonly boot: number; readonly publicKey: string },
): string => seal(secret, 'credential', [of.hostId, of.boot, digest(of.publicKey)].join('.'));

/** The host's boot that a credential is good for. A contested boot's credential is good for nothing; a closed boot's agent may still report and be sent away. */
export const judgeCredential = (
  secret: Uint8Array,
  word: string,
  find: (hostId: string) => Host | undefined,
): { readonly host: Host; readonly boot: number } | Refusal => {
  const [hostId = '', boot = '', key = ''] = unseal(secret, 'credential', word) ?? [];
  const host = find(hostId);
  if (host === undefined) return { refused: 'credential-invalid', reason: 'this is not a credential of ours' };
  if (
    host.boot === null ||
    host.boot.number !== Number(boot) ||
    host.boot.redeemed === undefined ||
    digest(host.boot.redeemed.publicKey) !== key
  )
    return { refused: 'ticket-stale', reason: `boot ${boot} of ${host.name} is over` };
  if (host.boot.contestedAt !== undefined) return { refused: 'boot-contested', reason: `boot ${boot} of ${host.name} is contested` };
  return { host, boot: host.boot.number };
};

/** What the installed OS shows when it phones home: good for one generation of one claim. */
export const mintPhoneHome = (secret: Uint8Array, hostId: string, claim: Pick<Claim, 'id' | 'generation'>): string =>
  seal(secret, 'phone-home', [hostId, digest(claim.id), claim.generation].join('.'));
export const judgePhoneHome = (
  secret: Uint8Array,
  word: string,
  find: (hostId: string) => Host | undefined,
): { readonly host: Host; readonly claimId: string; readonly generation: number } | Refusal => {
  const [hostId = '', claim = '', generation = ''] = unseal(secret, 'phone-home', word) ?? [];
  const host = find(hostId);
  if (host === undefined) return { refused: 'ticket-invalid', reason: 'this is not a phone-home token of ours' };
  if (host.claim === null || digest(host.claim.id) !== claim)
    return { refused: 'generation-stale', reason: `the claim of this token no longer holds ${host.name}` };
  return { host, claimId: host.claim.id, generation: Number(generation) };
};
