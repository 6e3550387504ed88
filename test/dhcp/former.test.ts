/** A reservation follows its host to another NIC, and nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assignableOf } from '../../src/dhcp/subnet.ts';
import { parseCidr4, parseIpv4, parseMac } from '../../src/wire/address.ts';
import type { Ipv4, Mac } from '../../src/wire/address.ts';

const ip = (text: string): Ipv4 => {
  const address = parseIpv4(text);
  assert.ok(address !== undefined);
  return address;
};
const mac = (last: number): Mac => {
  const parsed = parseMac(`52:54:00:00:00:0${last}`);
  assert.ok(parsed !== undefined);
  return parsed;
};
const cidr = parseCidr4('10.77.0.0/24');
assert.ok(cidr !== undefined);
const [old, young, other, reservedOther] = [mac(1), mac(2), mac(3), mac(4)];
const reserved = ip('10.77.0.9');
const theirs = ip('10.77.0.8');
const subnet = {
  interface: 'br0',
  cidr,
  serverAddress: ip('10.77.0.1'),
  pool: { from: ip('10.77.0.50'), to: ip('10.77.0.60') },
  dns: [],
  leaseSeconds: 60,
  reservations: [
    { mac: old, address: reserved },
    { mac: reservedOther, address: theirs },
  ],
};
const before = assignableOf(subnet);
const after = assignableOf(subnet, (one) => (one === young ? [other, old] : one === reservedOther ? [old] : []));

test('before the replacement the new NIC is a stranger to it', () => {
  assert.deepEqual([before.reservedFor(young), before.may(young, reserved), before.isTaken(young, reserved)], [undefined, false, true]);
});
test('after it the reservation is its own, and the old NIC may have it back', () => {
  for (const one of [young, old])
    assert.deepEqual([after.reservedFor(one), after.may(one, reserved), after.isTaken(one, reserved)], [reserved, true, false]);
  assert.equal(after.reservationOf(young)?.mac, old);
});
test('nobody else gets it, and whoever has a reservation of his own keeps that one', () => {
  assert.deepEqual([after.reservedFor(other), after.may(other, reserved)], [undefined, false]);
  assert.deepEqual([after.reservedFor(reservedOther), after.may(reservedOther, reserved)], [theirs, false]);
});
