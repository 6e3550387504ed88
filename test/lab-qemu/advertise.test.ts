/** The router advertisement: every field of RFC 4861 §4.2, and a sum that a receiver accepts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advertise, routerAdvertisement } from '../../src/lab/qemu/advertise.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const packet = Buffer.from(routerAdvertisement());

test('an IPv6 packet from a link-local address to all nodes, hop limit 255', () => {
  assert.equal(packet.subarray(0, 8).toString('hex'), '6000000000103aff');
  assert.equal(packet.subarray(8, 24).toString('hex'), 'fe800000000000000000000000000001');
  assert.equal(packet.subarray(24, 40).toString('hex'), 'ff020000000000000000000000000001');
});

test('it offers nothing: no router, no prefix, no DHCPv6', () => {
  const message = packet.subarray(40);
  assert.equal(message.length, 16, 'no options');
  assert.deepEqual([message[0], message[1]], [134, 0], 'type and code');
  assert.equal(message[5], 0, 'neither M nor O');
  assert.equal(message.readUInt16BE(6), 0, 'router lifetime');
});

test('the sum over pseudo-header and message is all ones, as a receiver checks it (RFC 1071 §1)', () => {
  const pseudo = Buffer.from('000000100000003a', 'hex');
  const all = Buffer.concat([packet.subarray(8, 40), pseudo, packet.subarray(40)]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  assert.equal(sum, 0xffff);
});

test('an interface that is not there is named', () => {
  const stop = new AbortController();
  const lab = realLabWorld({ signal: stop.signal, log: { level: 'silent' } });
  assert.throws(() => advertise(lab, 'nobridge7'), /there is no network interface nobridge7/);
  stop.abort();
});
