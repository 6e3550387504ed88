/** The transfer alone: single steps as facts, then whole files over a network that loses, repeats and reorders. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Terms } from '../../src/tftp/negotiate.ts';
import { errorPacket, framedBlocks, type Tftp } from '../../src/tftp/packet.ts';
import { type Action, beginTransfer, type Outcome, type Peer, type Step, stepTransfer, type Transfer } from '../../src/tftp/transfer.ts';
import { fakeWorld, ip } from '../world/fake.ts';

const peer: Peer = { address: ip('10.77.0.50'), port: 2070 };
const lockstep: Terms = { blockBytes: 8, windowBlocks: 1, timeoutMs: 1000, accepted: [] };
const windowed: Terms = { ...lockstep, windowBlocks: 4, accepted: [{ name: 'windowsize', value: '4' }] };
const begin = (terms: Terms, bytes: number): Step => beginTransfer({ peer, terms, bytes, tries: 3 }, 0);
const ack = (transfer: Transfer, block: number): Step =>
  stepTransfer(transfer, { kind: 'packet', packet: { kind: 'acknowledgement', block }, from: peer }, 0);
const timeout = (transfer: Transfer): Step => stepTransfer(transfer, { kind: 'timeout' }, 0);
const short = ({ actions }: Step): readonly string[] =>
  actions.map((action) => {
    if (action.kind === 'send') return action.packet.kind;
    if (action.kind === 'send-blocks') return `${action.first}+${action.count}`;
    return action.kind === 'wait' ? `wait ${action.until}` : `end ${action.outcome}`;
  });
/** A transfer after these ACKs. */
const after = (terms: Terms, bytes: number, ...blocks: readonly number[]): Transfer => {
  let { transfer } = begin(terms, bytes);
  for (const block of blocks) ({ transfer } = ack(transfer, block));
  return transfer;
};

describe('lockstep', () => {
  test('begins with DATA where nothing was agreed on', () => assert.deepEqual(short(begin(lockstep, 20)), ['1+1', 'wait 1000']));
  test('one block after the other, and the last is short', () => {
    assert.deepEqual(short(ack(after(lockstep, 20), 1)), ['2+1', 'wait 1000']);
    assert.deepEqual(short(ack(after(lockstep, 20, 1), 2)), ['3+1', 'wait 1000']);
    assert.deepEqual(short(ack(after(lockstep, 20, 1, 2), 3)), ['end done']);
  });
  test('a file of whole blocks ends with an empty one, and so does an empty file', () => {
    assert.deepEqual(short(ack(after(lockstep, 16, 1), 2)), ['3+1', 'wait 1000']);
    assert.deepEqual(short(ack(after(lockstep, 0), 1)), ['end done']);
  });
  test('the Sorcerer’s Apprentice: a repeated ACK is not answered', () => assert.deepEqual(short(ack(after(lockstep, 80, 1, 2), 2)), []));
  test('an ACK of what was never sent is not believed', () => {
    assert.deepEqual(short(ack(after(lockstep, 80, 1), 3)), []);
    assert.deepEqual(short(ack(after(lockstep, 80, 1), 65_535)), []);
  });
  test('silence: the same again, so many times', () => {
    let step: Step = { transfer: after(lockstep, 80, 1), actions: [] };
    for (let tries = 0; tries < 2; tries++) {
      step = timeout(step.transfer);
      assert.deepEqual(short(step), ['2+1', 'wait 1000']);
    }
    assert.deepEqual(short(timeout(step.transfer)), ['end timeout']);
    assert.equal(ack(step.transfer, 2).transfer.attempts, 1, 'progress begins the count anew');
  });
});

describe('negotiation', () => {
  test('begins with OACK and waits for ACK 0', () => {
    assert.deepEqual(short(begin(windowed, 80)), ['optionAcknowledgement', 'wait 1000']);
    assert.deepEqual(short(ack(after(windowed, 80), 1)), []);
    assert.deepEqual(short(ack(after(windowed, 80), 0)), ['1+4', 'wait 1000']);
  });
  test('the OACK is repeated, and given up', () => {
    const once = timeout(after(windowed, 80));
    assert.deepEqual(short(once), ['optionAcknowledgement', 'wait 1000']);
    assert.deepEqual(short(timeout(timeout(once.transfer).transfer)), ['end timeout']);
  });
  test('ERROR 8 after the OACK is how EDK2 asks for a size: an end, not a fault', () => {
    const packet: Tftp = errorPacket(8, 'User aborted the transfer');
    const { actions } = stepTransfer(after(windowed, 80), { kind: 'packet', packet, from: peer }, 0);
    assert.deepEqual(actions, [{ kind: 'end', outcome: 'refused', reason: 'error 8 from the client: User aborted the transfer' }]);
  });
});

describe('windows (RFC 7440)', () => {
  test('the next one after the last block of this one', () =>
    assert.deepEqual(short(ack(after(windowed, 80, 0), 4)), ['5+4', 'wait 1000']));
  test('the last one is as short as it is', () => assert.deepEqual(short(ack(after(windowed, 80, 0, 4), 8)), ['9+3', 'wait 1000']));
  test('an ACK amid the window: what was lost goes again', () =>
    assert.deepEqual(short(ack(after(windowed, 80, 0), 2)), ['3+4', 'wait 1000']));
  test('a repeated ACK: the whole window again, but once', () => {
    const again = ack(after(windowed, 80, 0, 4), 4);
    assert.deepEqual(short(again), ['5+4', 'wait 1000']);
    assert.deepEqual(short(ack(again.transfer, 4)), []);
    assert.deepEqual(short(ack(timeout(again.transfer).transfer, 4)), ['5+4', 'wait 1000']);
  });
  test('past 65535 the number on the wire begins anew', () => {
    const transfer: Transfer = { ...after(windowed, 8 * 70_000, 0), acknowledged: 65_534, sent: 65_538 };
    assert.equal(ack(transfer, 2).transfer.acknowledged, 65_538);
    assert.equal(ack(transfer, 65_535).transfer.acknowledged, 65_535);
    assert.deepEqual(short(ack(transfer, 3)), []);
  });
});

test('a stranger’s packet (RFC 1350 §4): it is told, the transfer goes on; its errors are not answered', () => {
  const stranger: Peer = { address: peer.address, port: 666 };
  const transfer = after(lockstep, 80, 1);
  const told = stepTransfer(transfer, { kind: 'packet', packet: { kind: 'acknowledgement', block: 2 }, from: stranger }, 0);
  assert.deepEqual(told, { transfer, actions: [{ kind: 'send', packet: errorPacket(5, 'unknown transfer ID'), to: stranger }] });
  assert.deepEqual(stepTransfer(transfer, { kind: 'packet', packet: errorPacket(0, ''), from: stranger }, 0), { transfer, actions: [] });
});

/** A client of RFC 7440: acknowledges the last block of a window, and at once what came before a gap. */
class Client {
  readonly parts: Uint8Array[] = [];
  readonly #terms: Terms;
  #inWindow = 0;
  #complained = -1;
  isDone = false;
  constructor(terms: Terms) {
    this.#terms = terms;
  }
  takes(block: number, data: Uint8Array): number | undefined {
    const next = (this.parts.length + 1) & 0xffff;
    if (block !== next) {
      // Said once for each gap, as every further block of the window would say it again.
      if (this.#complained === this.parts.length && this.#terms.windowBlocks > 1) return undefined;
      this.#complained = this.parts.length;
      this.#inWindow = 0;
      return this.parts.length & 0xffff;
    }
    this.parts.push(data);
    this.#inWindow++;
    this.isDone = data.length < this.#terms.blockBytes;
    if (!this.isDone && this.#inWindow < this.#terms.windowBlocks) return undefined;
    this.#inWindow = 0;
    return block;
  }
  /** What it says when nothing comes. */
  repeats(): number {
    this.#inWindow = 0;
    return this.parts.length & 0xffff;
  }
}

interface Weather {
  /** In [0, 1): below `loss` the next packet is lost, below `loss + twice` it comes twice. */
  next(): number;
  readonly loss: number;
  readonly twice: number;
}
/** Runs until the transfer ends; returns what the client got, and the blocks that were sent. */
const carry = (
  file: Uint8Array,
  terms: Terms,
  weather: Weather,
): { readonly outcome: Outcome; readonly client: Client; readonly sentBlocks: number } => {
  const client = new Client(terms);
  let outcome: Outcome | undefined;
  let sentBlocks = 0;
  let { transfer, actions } = beginTransfer({ peer, terms, bytes: file.length, tries: 50 }, 0);
  const fate = (): number => {
    const drawn = weather.next();
    if (drawn < weather.loss) return 0;
    return drawn < weather.loss + weather.twice ? 2 : 1;
  };
  for (let rounds = 0; outcome === undefined; rounds++) {
    assert.ok(rounds < 200_000, 'the transfer ends');
    const acks: number[] = [];
    const hear = (block: number | undefined): void => {
      if (block !== undefined) for (let copies = fate(); copies > 0; copies--) acks.push(block);
    };
    for (const action of actions) {
      if (action.kind === 'end') ({ outcome } = action);
      if (action.kind === 'send' && action.packet.kind === 'optionAcknowledgement')
        hear(client.parts.length === 0 && fate() > 0 ? 0 : undefined);
      if (action.kind !== 'send-blocks') continue;
      for (let block = action.first; block < action.first + action.count; block++) {
        sentBlocks++;
        const framed = Buffer.from(framedBlocks(file, { first: block, count: 1, blockBytes: terms.blockBytes }));
        for (let copies = fate(); copies > 0; copies--) hear(client.takes(framed.readUInt16BE(2), framed.subarray(4)));
      }
    }
    if (outcome !== undefined) break;
    // Nothing on its way: both sides wait, and both ask again.
    const events = acks.map((block) => ({ kind: 'packet', packet: { kind: 'acknowledgement', block }, from: peer }) as const);
    const next: Action[] = [];
    if (events.length === 0) {
      hear(client.isDone || client.parts.length > 0 ? client.repeats() : undefined);
      const step = stepTransfer(transfer, { kind: 'timeout' }, 0);
      ({ transfer } = step);
      next.push(...step.actions);
      events.push(...acks.map((block) => ({ kind: 'packet', packet: { kind: 'acknowledgement', block }, from: peer }) as const));
    }
    for (const event of events) {
      const step = stepTransfer(transfer, event, 0);
      ({ transfer } = step);
      next.push(...step.actions);
    }
    actions = next;
  }
  return { outcome, client, sentBlocks };
};

test('any file over any weather arrives whole, or the transfer says that it did not', () => {
  let done = 0;
  const run = fc.record({
    bytes: fc.nat(700),
    windowBlocks: fc.constantFrom(1, 2, 4, 16),
    loss: fc.constantFrom(0, 0.05, 0.2, 0.4),
    twice: fc.constantFrom(0, 0.2),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(run, ({ bytes, windowBlocks, loss, twice, seed }) => {
      const file = new Uint8Array(bytes).map((_, at) => (at * 7) % 256);
      const terms: Terms = {
        ...lockstep,
        windowBlocks,
        accepted: windowBlocks === 1 ? [] : [{ name: 'windowsize', value: String(windowBlocks) }],
      };
      const { random } = fakeWorld({ seed });
      const { outcome, client } = carry(file, terms, { loss, twice, next: () => random.next() });
      const got = Buffer.concat(client.parts);
      assert.deepEqual(got, Buffer.from(file.subarray(0, got.length)));
      if (outcome !== 'done') return;
      done++;
      assert.equal(got.length, file.length);
    }),
    { numRuns: 300 },
  );
  assert.ok(done > 250, `${done} of 300 arrived`);
});

test('more than 65535 blocks, in fair weather each sent once', () => {
  const file = new Uint8Array(70_000 * 8 + 5).map((_, at) => (at >> 3) % 256);
  for (const terms of [lockstep, windowed]) {
    const { outcome, client, sentBlocks } = carry(file, terms, { loss: 0, twice: 0, next: () => 0.5 });
    assert.deepEqual([outcome, sentBlocks], ['done', 70_001]);
    assert.ok(Buffer.concat(client.parts).equals(file));
  }
});
