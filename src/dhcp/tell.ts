/** What happened, in one plain sentence for the timeline. */
import type { BootAnswer, BootClient } from '../wire/words.ts';
import type { Decision, LeaseRequest } from './decide.ts';

const archWords = { bios: 'BIOS firmware', 'x64-uefi': 'UEFI x64 firmware', other: 'firmware of another architecture' } as const;
const who = ({ stage, arch }: BootClient): string => {
  if (stage === 'os') return 'an operating system';
  if (stage === 'ipxe') return 'iPXE';
  const firmware = arch === undefined ? 'firmware' : archWords[arch];
  return stage === 'http' ? `${firmware} (HTTP boot)` : firmware;
};

const what = (boot: BootAnswer | undefined): string => {
  switch (boot?.kind) {
    case 'chainload':
      return `, boot file ${boot.file}`;
    case 'script':
      return ', boot script';
    case 'local-disk':
    case undefined:
      return '';
  }
};

const outcomeWords = (decision: Decision): string => {
  switch (decision.outcome) {
    case 'offer':
      return `offered ${decision.lease.address}`;
    case 'ack':
      return `given ${decision.lease.address}`;
    case 'inform':
      return 'told the settings';
    case 'released':
      return 'address released';
    case 'declined':
      return 'address is used by somebody else, set aside';
    case 'nak':
      return `refused: ${decision.reason}`;
    case 'silent':
      return `not answered: ${decision.reason}`;
  }
};

/** `DISCOVER from UEFI x64 firmware, offered 10.77.0.50, boot file snponly.efi` */
export const tell = (kind: LeaseRequest['kind'], client: BootClient, decision: Decision, boot: BootAnswer | undefined): string =>
  `${kind.toUpperCase()} from ${who(client)}, ${outcomeWords(decision)}${client.stage === 'os' ? '' : what(boot)}`;
