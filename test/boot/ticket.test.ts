/** Tickets, credentials and tokens: what they say comes back, and nothing else is believed. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeCredential,
  judgePhoneHome,
  judgeTicket,
  mintCredential,
  mintPhoneHome,
  mintTicket,
  ownsKey,
  readTicket,
} from '../../src/boot/ticket.ts';
import type { Ticket } from '../../src/boot/ticket.ts';
import type { HostEvent } from '../../src/host/events.ts';
import type { Host } from '../../src/host/host.ts';
import { ipv4From } from '../../src/wire/address.ts';
import { after, available, claimed, identified, provisioned } from '../host/make.ts';

const secret = Buffer.alloc(32, 7);
const otherSecret = Buffer.alloc(32, 8);
const address = ipv4From(0x0a4d0032);
const elsewhere = ipv4From(0x0a4d0033);
const ticketOf = (part: Partial<Ticket> = {}): Ticket => ({ hostId: 'h1', boot: 1, generation: 0, address, expiresAt: 5000, ...part });
const tickets = fc.record({
  hostId: fc.stringMatching(/^h[a-z0-9]{1,20}$/),
  boot: fc.nat(),
  generation: fc.nat(),
  address: fc.nat(0xffffffff).map(ipv4From),
  expiresAt: fc.nat(Number.MAX_SAFE_INTEGER),
});
const letters = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'.split(''));
/** Every word of that length but one character. */
const everyFlip = (word: string): readonly string[] =>
  Array.from(word, (letter, at) => word.slice(0, at) + (letter === 'A' ? 'B' : 'A') + word.slice(at + 1));

test('a ticket says what it was minted with, and needs no escaping in a URL', () => {
  fc.assert(
    fc.property(tickets, (ticket) => {
      const word = mintTicket(secret, ticket);
      assert.deepEqual(readTicket(secret, word), { ...ticket });
      assert.match(word, /^[\w.-]+$/);
      assert.equal(mintTicket(secret, ticket), word, 'the same question has the same answer');
    }),
  );
});
test('a ticket with any one character changed, cut or added is none of ours', () => {
  const word = mintTicket(secret, ticketOf());
  for (const flipped of everyFlip(word)) assert.equal(readTicket(secret, flipped), undefined, flipped);
  for (let length = 0; length < word.length; length++) assert.equal(readTicket(secret, word.slice(0, length)), undefined);
  for (const longer of [`${word}A`, `${word}=`, `${word}.`, ` ${word}`, `x${word}`])
    assert.equal(readTicket(secret, longer), undefined, longer);
  fc.assert(
    fc.property(fc.nat(word.length - 1), letters, (at, letter) => {
      const changed = word.slice(0, at) + letter + word.slice(at + 1);
      assert.equal(readTicket(secret, changed) === undefined, changed !== word);
    }),
  );
});
test('hostile words are none of ours, and throw nothing', () => {
  const all = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(letters, { maxLength: 400 }).map((list) => list.join('')),
  );
  fc.assert(
    fc.property(all, (word) => {
      assert.equal(readTicket(secret, word), undefined);
      assert.ok('refused' in judgeCredential(secret, word, () => provisioned));
      assert.ok('refused' in judgePhoneHome(secret, word, () => provisioned));
    }),
  );
});
test('another secret reads nothing', () => {
  fc.assert(fc.property(tickets, (ticket) => assert.equal(readTicket(otherSecret, mintTicket(secret, ticket)), undefined)));
});
test('a word of one kind never passes as another', () => {
  const words = {
    ticket: mintTicket(secret, ticketOf()),
    credential: mintCredential(secret, { hostId: 'h1', boot: 1, publicKey: 'key' }),
    phoneHome: mintPhoneHome(secret, 'h1', { id: 'c1', generation: 1 }),
  };
  const find = (): Host => provisioned;
  const takers: Readonly<Record<string, (word: string) => boolean>> = {
    ticket: (word) => readTicket(secret, word) !== undefined,
    credential: (word) => 'host' in judgeCredential(secret, word, find),
    phoneHome: (word) => 'host' in judgePhoneHome(secret, word, find),
  };
  for (const [kind, word] of Object.entries(words))
    for (const [taker, takes] of Object.entries(takers)) assert.equal(takes(word), taker === kind, `a ${kind} shown as a ${taker}`);
});

const opened = after(identified, { type: 'boot-opened' }, { type: 'boot-armed', note: '' }, { type: 'boot-powered' });
const redeemed = after(opened, { type: 'redeemed', boot: 1, publicKey: 'key' });
const contested = after(redeemed, { type: 'redeemed', boot: 1, publicKey: 'another' });
const failed = after(opened, { type: 'boot-failed', code: 'internal', reason: 'nobody came', triesMax: 3 });
const second = after(failed, { type: 'boot-opened' }, { type: 'boot-armed', note: '' });
const claimedTwice = after(claimed, { type: 'reprovision', claimId: 'c1', intent: { image: 'sha256:bb' } } as HostEvent);
/** A boot for generation 1 whose ticket nobody has redeemed, and the change that came meanwhile. */
const bootOfClaim = after(
  claimed,
  { type: 'boot-failed', code: 'internal', reason: '', triesMax: 3 },
  { type: 'boot-opened' },
  { type: 'boot-armed', note: '' },
);
const bootOfOldClaim = after(bootOfClaim, { type: 'reprovision', claimId: 'c1', intent: { image: 'sha256:bb' } } as HostEvent);

interface Judged {
  readonly name: string;
  readonly host: Host | undefined;
  readonly ticket?: Partial<Ticket>;
  readonly peer?: typeof address;
  readonly now?: number;
  /** What the script and the redeeming are answered; undefined is good. */
  readonly script: string | undefined;
  readonly redeem: string | undefined;
}
const judgements: readonly Judged[] = [
  { name: 'open', host: opened, script: undefined, redeem: undefined },
  { name: 'unknown host', host: undefined, script: 'ticket-invalid', redeem: 'ticket-invalid' },
  { name: 'from another address', host: opened, peer: elsewhere, script: 'ticket-invalid', redeem: 'ticket-invalid' },
  { name: 'a moment before its end', host: opened, now: 4999, script: undefined, redeem: undefined },
  { name: 'at its end', host: opened, now: 5000, script: 'ticket-expired', redeem: 'ticket-expired' },
  { name: 'redeemed', host: redeemed, script: 'ticket-stale', redeem: undefined },
  { name: 'contested', host: contested, script: 'boot-contested', redeem: 'boot-contested' },
  {
    name: 'the host is held meanwhile: an agent that runs may come in',
    host: after(opened, { type: 'hold', by: 'eve', why: 'a cable' }),
    script: 'state-conflict',
    redeem: undefined,
  },
  { name: 'boot failed', host: failed, script: 'ticket-stale', redeem: 'ticket-stale' },
  { name: 'the boot before', host: second, script: 'ticket-stale', redeem: 'ticket-stale' },
  { name: 'a boot to come', host: opened, ticket: { boot: 2 }, script: 'ticket-stale', redeem: 'ticket-stale' },
  { name: 'of the claim', host: bootOfClaim, ticket: { boot: 2, generation: 1 }, script: undefined, redeem: undefined },
  {
    name: 'of the generation before',
    host: bootOfOldClaim,
    ticket: { boot: 2, generation: 1 },
    script: 'ticket-stale',
    redeem: 'ticket-stale',
  },
  { name: 'redeemed before the intent changed', host: claimedTwice, script: 'ticket-stale', redeem: undefined },
];
for (const { name, host, ticket, peer = address, now = 1000, script, redeem } of judgements)
  test(`a ticket is judged: ${name}`, () => {
    const judge = (what: 'script' | 'redeem'): string | undefined => judgeTicket(host, ticketOf(ticket), { for: what, peer, now })?.refused;
    assert.equal(judge('script'), script);
    assert.equal(judge('redeem'), redeem);
  });
test('what is no ticket is refused for any host', () => {
  assert.equal(judgeTicket(opened, undefined, { for: 'redeem', peer: address, now: 0 })?.refused, 'ticket-invalid');
  assert.equal(judgeTicket(opened, ticketOf(), { for: 'redeem', peer: undefined, now: 0 })?.refused, 'ticket-invalid');
});

test('a credential is good for one boot and one key', () => {
  const mint = (boot: number, publicKey: string): string => mintCredential(secret, { hostId: 'h1', boot, publicKey });
  const judge = (word: string, host: Host | undefined): string | undefined => {
    const judged = judgeCredential(secret, word, (id) => (id === 'h1' ? host : undefined));
    return 'refused' in judged ? judged.refused : undefined;
  };
  assert.equal(judge(mint(1, 'key'), redeemed), undefined);
  assert.equal(judge(mint(1, 'key'), available), undefined);
  assert.equal(judge(mint(1, 'another'), redeemed), 'ticket-stale');
  assert.equal(judge(mint(2, 'key'), redeemed), 'ticket-stale');
  assert.equal(judge(mint(1, 'key'), second), 'ticket-stale');
  assert.equal(judge(mint(1, 'key'), opened), 'ticket-stale');
  assert.equal(judge(mint(1, 'key'), contested), 'boot-contested');
  assert.equal(judge(mint(1, 'key'), undefined), 'credential-invalid');
  for (const flipped of everyFlip(mint(1, 'key'))) assert.equal(judge(flipped, redeemed), 'credential-invalid');
});
test('a phone-home token names its claim and generation; which one counts, the rulebook says', () => {
  const word = mintPhoneHome(secret, 'h1', { id: 'c1', generation: 3 });
  const judged = judgePhoneHome(secret, word, (id) => (id === 'h1' ? provisioned : undefined));
  assert.deepEqual(judged, { host: provisioned, claimId: 'c1', generation: 3 });
  assert.deepEqual(
    judgePhoneHome(secret, word, () => undefined),
    {
      refused: 'ticket-invalid',
      reason: 'this is not a phone-home token of ours',
    },
  );
  const ofAnother = judgePhoneHome(secret, mintPhoneHome(secret, 'h1', { id: 'c2', generation: 1 }), () => provisioned);
  assert.equal('refused' in ofAnother && ofAnother.refused, 'generation-stale');
  assert.ok('refused' in judgePhoneHome(secret, word, () => available), 'no claim');
  for (const flipped of everyFlip(word)) assert.ok('refused' in judgePhoneHome(secret, flipped, () => provisioned));
});

test('who redeems shows that he has the key; nothing else passes, and nothing throws', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
  const word = mintTicket(secret, ticketOf());
  const signed = (text: string): string => sign(null, Buffer.from(text), privateKey).toString('base64');
  assert.equal(ownsKey(raw, signed(`remuda-redeem\n${word}`), word), true);
  assert.equal(ownsKey(raw, signed(word), word), false, 'a signature made for something else');
  assert.equal(ownsKey(raw, signed(`remuda-redeem\n${word}`), `${word}x`), false);
  assert.equal(ownsKey(Buffer.alloc(32, 1).toString('base64'), signed(`remuda-redeem\n${word}`), word), false);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), fc.oneof(fc.string(), fc.base64String()), (key, signature) => {
      assert.equal(ownsKey(key, signature, word), false);
      assert.equal(ownsKey(raw, signature, word), false);
      assert.equal(ownsKey(key, signed(`remuda-redeem\n${word}`), word), key === raw);
    }),
  );
});
