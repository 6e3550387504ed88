/** Made with scapy 2.8.0 (DHCP options as the firmware of the facts sends them), and by hand from RFC 2131, 2132, 3396: packets and what they say. */
import type { Dhcp4 } from '../../../src/dhcp/packet.ts';
import { ip } from '../../world/fake.ts';

export const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const zeros = (count: number): string => '00'.repeat(count);

type Says = Partial<Omit<Dhcp4, 'options'>> & { readonly options: Dhcp4['options'] };
/** `canonical`: encoding what was decoded gives the same bytes again, not only the same meaning. */
export interface Vector {
  readonly name: string;
  readonly wire: string;
  readonly says: Says;
  readonly canonical: boolean;
}

/** Header without `sname` and `file`: a DISCOVER of 52:54:00:12:34:56. */
const header = `010106003903f326${zeros(20)}525400123456${zeros(10)}`;
const cookie = '63825363';

export const vectors: readonly Vector[] = [
  {
    name: 'discover from UEFI x64 firmware',
    wire: `010106003903f326000480${zeros(17)}525400123456${zeros(202)}63825363350101390205c037230102030405060c0d0f111216171c28292a2b3233363a3b3c424361808182838485868761110000112233445566778899aabbccddeeff5e030103105d0200073c20505845436c69656e743a417263683a30303030373a554e44493a303033303136ff`,
    says: {
      op: 1,
      seconds: 4,
      flags: 0x8000,
      options: { messageType: 1, maxMessageBytes: 1472, clientArch: [7], vendorClass: 'PXEClient:Arch:00007:UNDI:003016' },
    },
    canonical: true,
  },
  {
    name: 'discover from BIOS firmware',
    wire: `010106003903f326000080${zeros(17)}525400123456${zeros(202)}63825363350101390204ec371101020305060b0c0d0f1011122b363c438061110000112233445566778899aabbccddeeff5e030102015d0200003c20505845436c69656e743a417263683a30303030303a554e44493a303032303031ff`,
    says: { transactionId: 0x3903f326, options: { messageType: 1, clientArch: [0], vendorClass: 'PXEClient:Arch:00000:UNDI:002001' } },
    canonical: true,
  },
  {
    name: 'discover from iPXE',
    wire: `010106003903f326${zeros(20)}525400123456${zeros(202)}63825363350101390205c05d0200075e030103103c20505845436c69656e743a417263683a30303030373a554e44493a3030333031364d04695058453711010306070c0f111a2b3c4243778081afcbaf10b10501808610001301011401012401013d070152540012345661110000112233445566778899aabbccddeeffff`,
    says: { flags: 0, options: { userClass: bytes('69505845'), clientId: bytes('01525400123456'), ipxe: { https: bytes('01') } } },
    canonical: true,
  },
  {
    name: 'discover from UEFI HTTP Boot',
    wire: `010106003903f326000080${zeros(17)}525400123456${zeros(202)}63825363350101390205c0370a010203060c0f2b363c4361110000112233445566778899aabbccddeeff5e030103105d0200103c2148545450436c69656e743a417263683a30303031363a554e44493a303033303136ff`,
    says: { options: { vendorClass: 'HTTPClient:Arch:00016:UNDI:003016', clientArch: [16] } },
    canonical: true,
  },
  {
    name: 'request from an operating system, selecting',
    wire: `010106003903f326${zeros(20)}525400123456${zeros(202)}6382536335010332040a4d003236040a4d00013d13ff00123456000100012c1e2f3a5254001234560c076e6f64652d373737060103060c0f1cff`,
    says: { options: { messageType: 3, requestedAddress: ip('10.77.0.50'), serverId: ip('10.77.0.1'), hostName: 'node-77' } },
    canonical: true,
  },
  {
    name: 'renewal',
    wire: `010106003903f326000000000a4d0032000000000000000000000000525400123456${zeros(202)}638253633501033d0701525400123456ff`,
    says: { clientAddress: ip('10.77.0.50'), options: { messageType: 3 } },
    canonical: true,
  },
  {
    name: 'inform',
    wire: `010106003903f326000000000a4d0032000000000000000000000000525400123456${zeros(202)}6382536335010837040103060fff`,
    says: { clientAddress: ip('10.77.0.50'), options: { messageType: 8, parameterRequest: [1, 3, 6, 15] } },
    canonical: true,
  },
  {
    name: 'decline',
    wire: `010106003903f326${zeros(20)}525400123456${zeros(202)}6382536335010432040a4d003236040a4d0001ff`,
    says: { options: { messageType: 4, requestedAddress: ip('10.77.0.50') } },
    canonical: true,
  },
  {
    name: 'release',
    wire: `010106003903f326000000000a4d0032000000000000000000000000525400123456${zeros(202)}6382536335010736040a4d0001ff`,
    says: { clientAddress: ip('10.77.0.50'), options: { messageType: 7 } },
    canonical: true,
  },
  {
    name: 'discover through a relay, with option 82',
    wire: `010106013903f326${zeros(16)}0a4d0002525400123456${zeros(202)}63825363350101520e0104000a000102060012cf4a5b6cff`,
    says: { hops: 1, relayAddress: ip('10.77.0.2'), options: { relayAgent: bytes('0104000a000102060012cf4a5b6c') } },
    canonical: true,
  },
  {
    name: 'offer with options unknown to us',
    wire: `020106003903f32600000000000000000a4d00320a4d000100000000525400123456${zeros(74)}736e706f6e6c792e656669${zeros(117)}6382536335010236040a4d0001330400000e100104ffffff0003080a4d00010a4d000206040a4d00010f0c7261636b2e6578616d706c65e003010203430b736e706f6e6c792e656669ff`,
    says: {
      yourAddress: ip('10.77.0.50'),
      bootFileName: 'snponly.efi',
      options: { routers: [ip('10.77.0.1'), ip('10.77.0.2')], leaseSeconds: 3600, domainName: 'rack.example', option224: bytes('010203') },
    },
    canonical: true,
  },
  {
    name: 'unknown enum values',
    wire: `090606003903f326${zeros(20)}525400123456${zeros(202)}6382536335014d5d02fffeff`,
    says: { op: 9, hardwareType: 6, options: { messageType: 77, clientArch: [0xfffe] } },
    canonical: true,
  },

  {
    name: 'pads between options and after the end (RFC 2132 §3.1)',
    wire: `${header}${zeros(192)}${cookie}00003501010000ff000000`,
    says: { options: { messageType: 1 }, padding: bytes('000000') },
    canonical: false,
  },
  { name: 'no end option', wire: `${header}${zeros(192)}${cookie}350101`, says: { options: { messageType: 1 } }, canonical: false },
  {
    name: 'options in file and sname (RFC 2132 §9.3), one of them in three parts (RFC 3396 §5)',
    wire: `${header}0c026368ff${zeros(59)}0c026f74ff${zeros(123)}${cookie}3501013401030c0173ff`,
    says: { serverName: '', bootFileName: '', options: { messageType: 1, hostName: 'sotch' } },
    canonical: false,
  },
  {
    name: 'one option in two parts, another between them (RFC 3396 §7)',
    wire: `${header}${zeros(192)}${cookie}0c0361626335010 10c03646566ff`.replaceAll(' ', ''),
    says: { options: { messageType: 1, hostName: 'abcdef' } },
    canonical: false,
  },
  {
    name: 'text that is no UTF-8',
    wire: `${header}${zeros(192)}${cookie}0c02ff80ff`,
    says: { options: { hostName: '\xff\x80' } },
    canonical: true,
  },
  {
    name: 'a NUL amid the boot file name',
    wire: `${header}${zeros(64)}610062${zeros(125)}${cookie}350101ff`,
    says: { bootFileName: 'a\0b', options: { messageType: 1 } },
    canonical: true,
  },
  {
    name: 'option 97 of a ROM that sends 16 bytes',
    wire: `${header}${zeros(192)}${cookie}350101611000112233445566778899aabbccddeeffff`,
    says: { options: { clientUuid: bytes('00112233445566778899aabbccddeeff') } },
    canonical: true,
  },
];

/** What is refused, and what the refusal says. */
export const refusals: readonly { readonly name: string; readonly wire: string; readonly path: string; readonly offset: number }[] = [
  { name: 'nothing', wire: '', path: 'op', offset: 0 },
  { name: 'one byte', wire: '00', path: 'hardwareType', offset: 1 },
  { name: 'cut in the flags', wire: '010106003903f326000080', path: 'flags', offset: 10 },
  { name: 'no magic cookie', wire: `${header}${zeros(192)}`, path: 'magic', offset: 236 },
  { name: 'a wrong magic cookie', wire: `${header}${zeros(192)}63825364350101ff`, path: 'magic', offset: 236 },
  { name: 'an option longer than the packet', wire: `${header}${zeros(192)}${cookie}35010132ff0a`, path: 'option50', offset: 245 },
  { name: 'an option without a length', wire: `${header}${zeros(192)}${cookie}35`, path: 'option53', offset: 241 },
  { name: 'an address of three bytes', wire: `${header}${zeros(192)}${cookie}32030a4d00ff`, path: 'requestedAddress', offset: 242 },
  { name: 'a message type of two bytes', wire: `${header}${zeros(192)}${cookie}35020101ff`, path: 'messageType', offset: 243 },
  { name: 'half an architecture', wire: `${header}${zeros(192)}${cookie}5d03000700ff`, path: 'clientArch', offset: 244 },
  { name: 'a broken option inside option 175', wire: `${header}${zeros(192)}${cookie}af03b10501ff`, path: 'ipxe.option177', offset: 244 },
  {
    name: 'a broken option in an overloaded file field',
    wire: `${header}${zeros(64)}0cff${zeros(126)}${cookie}340101350101ff`,
    path: 'bootFileName.option12',
    offset: 110,
  },
];

/** What `dhcp@0.2.20` dies of, desynchronises on or spins on; each as one datagram, seen with that package. */
export const killersOfNpmDhcp: readonly { readonly name: string; readonly wire: string }[] = [
  { name: 'a pad right before an option: the parser eats the option code with it', wire: `${header}${zeros(192)}${cookie}00350101ff` },
  { name: 'a message type of two bytes', wire: `${header}${zeros(192)}${cookie}35020101ff` },
  { name: 'a hardware type other than Ethernet: throws', wire: `0120${header.slice(4)}${zeros(192)}${cookie}350101ff` },
  { name: 'shorter than 230 bytes: throws', wire: '00' },
  { name: 'a length past the end of the packet', wire: `${header}${zeros(192)}${cookie}35010132ff0a` },
  { name: 'a magic cookie that is none: not checked there', wire: `${header}${zeros(192)}00000000350101ff` },
];
