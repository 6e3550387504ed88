/** Who is asking: from packets as the firmware sends them, and from the oddities of the field. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { identify } from '../../src/dhcp/identify.ts';
import { decodeDhcp4, type Dhcp4Options } from '../../src/dhcp/packet.ts';
import type { BootClient } from '../../src/wire/words.ts';
import { bytes, vectors } from '../vectors/dhcp/packets.ts';

const packetOf = (name: string) => {
  const vector = vectors.find((one) => one.name === name);
  assert.ok(vector);
  return decodeDhcp4(bytes(vector.wire));
};
const mac = '52:54:00:12:34:56';
const uuid = '00112233-4455-6677-8899-aabbccddeeff';
const recorded: readonly (readonly [string, Readonly<Record<keyof BootClient, string | undefined>>])[] = [
  ['discover from UEFI x64 firmware', { mac, uuid, arch: 'x64-uefi', stage: 'firmware' }],
  ['discover from BIOS firmware', { mac, uuid, arch: 'bios', stage: 'firmware' }],
  ['discover from iPXE', { mac, uuid, arch: 'x64-uefi', stage: 'ipxe' }],
  ['discover from UEFI HTTP Boot', { mac, uuid, arch: 'x64-uefi', stage: 'http' }],
  ['request from an operating system, selecting', { mac, uuid: undefined, arch: undefined, stage: 'os' }],
];
describe('as recorded', () => {
  for (const [name, client] of recorded)
    test(name, () => assert.deepEqual({ uuid: undefined, arch: undefined, ...identify(packetOf(name)) }, client));
});

const odd: readonly { readonly name: string; readonly options: Dhcp4Options; readonly is: Partial<BootClient> }[] = [
  { name: 'arch 9 is x64 too', options: { clientArch: [9] }, is: { arch: 'x64-uefi', stage: 'os' } },
  { name: 'the first known of several archs', options: { clientArch: [11, 7] }, is: { arch: 'x64-uefi' } },
  {
    name: 'ARM64',
    options: { clientArch: [11], vendorClass: 'PXEClient:Arch:00011:UNDI:003000' },
    is: { arch: 'other', stage: 'firmware' },
  },
  {
    name: 'no option 93: the class says it',
    options: { vendorClass: 'PXEClient:Arch:00000:UNDI:002001' },
    is: { arch: 'bios', stage: 'firmware' },
  },
  {
    name: 'iPXE by user class as an RFC 3004 list',
    options: { userClass: bytes('03616263046950 5845'.replace(' ', '')), vendorClass: 'PXEClient' },
    is: { stage: 'ipxe' },
  },
  { name: 'iPXE by option 175 alone', options: { ipxe: {}, vendorClass: 'PXEClient' }, is: { stage: 'ipxe' } },
  { name: 'another user class', options: { userClass: bytes('03616263'), vendorClass: 'PXEClient' }, is: { stage: 'firmware' } },
  { name: 'an empty user class', options: { userClass: bytes('') }, is: { stage: 'os' } },
  { name: 'a user class whose length lies', options: { userClass: bytes('ff6950584500') }, is: { stage: 'os' } },
];
describe('oddities', () => {
  for (const { name, options, is } of odd)
    test(name, () => assert.partialDeepStrictEqual(identify({ ...packetOf('inform'), options }), is));
  for (const hex of ['00112233445566778899aabbccddeeff', `00${'00'.repeat(16)}`, `00${'ff'.repeat(16)}`, `01${'12'.repeat(16)}`, ''])
    test(`no UUID from option 97 = ${hex}`, () =>
      assert.equal(identify({ ...packetOf('inform'), options: { clientUuid: bytes(hex) } }).uuid, undefined));
});
