/** What happened, in one plain sentence for the timeline. */
import type { BootAnswer, BootClient } from '../wire/words.ts';
import type { Decision, LeaseRequest } from './decide.ts';
import type { OtherServer } from './others.ts';
import { type Dhcp4, MessageType } from './packet.ts';

const archWords = { bios: 'BIOS firmware', 'x64-uefi': 'UEFI x64 firmware', other: 'firmware of another architecture' } as const;
const who = ({ stage, arch }: BootClient): string => {
  if (stage === 'os') return 'an operating system';
  if (stage === 'ipxe') return 'iPXE';
  const firmware = arch === undefined ? 'firmware' : archWords[arch];
  return stage === 'http' ? `${firmware} (HTTP boot)` : firmware;
};

const what = (boot: BootAnswer | undefined): string => {
  if (boot?.kind === 'chainload') return `, boot file ${boot.file}`;
  return boot?.kind === 'script' ? ', boot script' : '';
};

const outcomes = {
  offer: 'offered',
  ack: 'given',
  inform: 'told the settings',
  released: 'address released',
  declined: 'address is used by somebody else, set aside',
  nak: 'refused',
  silent: 'not answered',
} as const satisfies Record<Decision['outcome'], string>;

const outcomeWords = (decision: Decision): string => {
  const words = outcomes[decision.outcome];
  if ('lease' in decision) return `${words} ${decision.lease.address}`;
  return 'reason' in decision ? `${words}: ${decision.reason}` : words;
};

/** `DISCOVER from UEFI x64 firmware, offered 10.77.0.50, boot file snponly.efi` */
export const tell = (kind: LeaseRequest['kind'], client: BootClient, decision: Decision, boot: BootAnswer | undefined): string =>
  `${kind.toUpperCase()} from ${who(client)}, ${outcomeWords(decision)}${client.stage === 'os' ? '' : what(boot)}`;

const otherWords: ReadonlyMap<number | undefined, string> = new Map([
  [MessageType.offer, 'offered'],
  [MessageType.ack, 'gave'],
]);
/** `another DHCP server, 10.77.0.9 (02:00:00:00:00:09), offered 10.77.0.120, boot file pxelinux.0`; of a packet that was not meant for us. */
export const tellOther = ({ address, mac, bootFile }: OtherServer, { options, yourAddress }: Dhcp4): string => {
  const words = otherWords.get(options.messageType);
  const server = `another DHCP server, ${address}${mac === undefined ? '' : ` (${mac})`},`;
  return `${server} ${words === undefined ? 'refused it' : `${words} ${yourAddress}`}${bootFile === undefined ? '' : `, boot file ${bootFile}`}`;
};
