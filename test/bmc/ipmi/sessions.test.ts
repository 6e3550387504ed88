/** Recorded sessions of foreign programs: our tables read every datagram, our keys prove and open every one, and we would write the same bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands, decodeRequest, decodeResponse } from '../../../src/bmc/ipmi/commands.ts';
import type { Command } from '../../../src/bmc/ipmi/commands.ts';
import { rakp2Code, rakp3Code, rakp4Code, seal, sessionKeys, suiteOf, unseal } from '../../../src/bmc/ipmi/crypt.ts';
import type { Handshake, SessionKeys } from '../../../src/bmc/ipmi/crypt.ts';
import { decodeMessage, encodeMessage } from '../../../src/bmc/ipmi/message.ts';
import { decodeOpening, encodeOpening } from '../../../src/bmc/ipmi/opening.ts';
import { decodePacket, encodePacket, PayloadType } from '../../../src/bmc/ipmi/packet.ts';
import type { V20Packet } from '../../../src/bmc/ipmi/packet.ts';
import { recordedUser, sessions } from '../../vectors/ipmi/sessions.ts';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const known: readonly Command<object, object>[] = Object.values(commands);

/** The words of one recording, in order: payloads of the handshake, then the commands with their completion codes. */
class Replay {
  readonly words: string[] = [];
  readonly #shake: Partial<Handshake> = { username: Buffer.from(recordedUser.username), password: Buffer.from(recordedUser.password) };
  #keys: SessionKeys | undefined;
  suite: number | undefined;

  hear(bytes: Uint8Array): void {
    const packet = decodePacket(bytes);
    assert.equal(hexOf(encodePacket(packet)), hexOf(bytes));
    if (packet.kind === 'v15') return this.#message(packet.message);
    assert.ok(packet.kind === 'v20');
    if (packet.session !== 0) return this.#inside(packet, bytes);
    if (packet.payload.type === PayloadType.ipmi) return this.#message(packet.data);
    this.#opening(packet);
  }

  get #handshake(): Handshake {
    return this.#shake as Handshake;
  }

  #opening({ payload: { type }, data }: V20Packet): void {
    const [kind] = Object.entries(PayloadType).find(([, number]) => number === type) ?? ['?'];
    this.words.push(kind);
    const shake = this.#shake as { -readonly [K in keyof Handshake]?: Handshake[K] };
    if (kind === 'openRequest') {
      const { algorithms, consoleSession } = decodeOpening(kind, data);
      shake.consoleSession = consoleSession;
      const suite = suiteOf(algorithms);
      assert.ok(suite !== undefined);
      shake.suite = suite;
      this.suite = suite.id;
      assert.equal(hexOf(encodeOpening(kind, decodeOpening(kind, data))), hexOf(data));
    } else if (kind === 'openResponse') {
      const { status, body } = decodeOpening(kind, data);
      if (status === 0) shake.managedSession = body?.managedSession ?? 0;
      else this.words.push(`status ${status}`);
    } else if (kind === 'rakp1') {
      const { consoleRandom, role } = decodeOpening(kind, data);
      Object.assign(shake, { consoleRandom, role });
      assert.equal(hexOf(encodeOpening(kind, decodeOpening(kind, data))), hexOf(data));
    } else if (kind === 'rakp2') {
      const { body } = decodeOpening(kind, data);
      assert.ok(body !== undefined);
      Object.assign(shake, { managedRandom: body.managedRandom, guid: body.guid });
      assert.equal(hexOf(rakp2Code(this.#handshake)), hexOf(body.code));
    } else if (kind === 'rakp3') assert.equal(hexOf(rakp3Code(this.#handshake)), hexOf(decodeOpening(kind, data).code));
    else if (kind === 'rakp4') {
      assert.equal(hexOf(rakp4Code(this.#handshake)), hexOf(decodeOpening(kind, data).code));
      this.#keys = sessionKeys(this.#handshake);
    } else assert.fail(`payload type ${type}`);
  }

  #inside(packet: V20Packet, bytes: Uint8Array): void {
    const keys = this.#keys;
    assert.ok(keys !== undefined);
    const payload = unseal(keys, packet, bytes);
    const { session, sequence } = packet;
    const again = seal(keys, { session, sequence, type: packet.payload.type, payload }, packet.data.subarray(0, 16));
    assert.equal(hexOf(again), hexOf(bytes));
    this.#message(payload);
  }

  #message(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    assert.equal(hexOf(encodeMessage(message)), hexOf(bytes));
    const command = known.find((one) => one.netFn === (message.netFn & ~1) && one.command === message.command);
    const name = command?.name ?? `${message.netFn & ~1}/${message.command}`;
    if ((message.netFn & 1) === 0) {
      if (command !== undefined) decodeRequest(command, message.data);
      this.words.push(name);
      return;
    }
    const [code = -1, ...data] = message.data;
    if (code !== 0) this.words.push(`code ${code}`);
    else if (command !== undefined) decodeResponse(command, Uint8Array.from(data));
  }
}

for (const { name, suite, datagrams } of sessions)
  test(name, () => {
    const replay = new Replay();
    for (const line of datagrams) replay.hear(Buffer.from(line.slice(2), 'hex'));
    const [first, ...others] = replay.words;
    assert.equal(first, 'Get Channel Authentication Capabilities');
    if (suite === undefined) return assert.deepEqual(others, ['openRequest', 'openResponse', 'status 4']);
    assert.equal(replay.suite, suite);
    assert.deepEqual(others.slice(0, 7), [
      'openRequest',
      'openResponse',
      'rakp1',
      'rakp2',
      'rakp3',
      'rakp4',
      'Set Session Privilege Level',
    ]);
    assert.equal(others.at(-1), 'Close Session');
    assert.ok(others.some((word) => word === (name.includes('boot') ? 'Set System Boot Options' : 'Get Chassis Status')));
  });
