/** What a machine that asks to boot is told: the one decision, asked by DHCP, TFTP and HTTP alike. */
import type { Limits } from '../limits.ts';
import type { BootAnswer, BootClient } from '../wire/words.ts';
import type { Ipv4 } from '../wire/address.ts';
import { openBoot } from '../host/host.ts';
import type { Host } from '../host/host.ts';
import { mintTicket } from './ticket.ts';

/** First-stage boot programs by architecture. */
export const bootPrograms = { bios: 'undionly.kpxe', 'x64-uefi': 'snponly.efi' } as const;
/** What iPXE for UEFI fetches by itself from where it was loaded; without it it waits seconds for an IPv6 router. */
export const companions = { 'autoexec.ipxe': 'snponly.efi' } as const;
/** The only names that TFTP serves. */
export const bootFileNames: readonly string[] = [...Object.values(bootPrograms), ...Object.keys(companions)];

export interface BootQuestion {
  readonly client: BootClient;
  readonly lease: { readonly address: Ipv4; readonly serverAddress: Ipv4 };
  readonly httpPort: number;
  readonly secret: Uint8Array;
  readonly limits: Limits;
}
const localDisk: BootAnswer = { kind: 'local-disk' };

/**
 * Only a boot that we opened and armed is answered with a file. Everything else boots its local disk: an unknown machine, a host that is held or has failed,
 * a boot whose ticket was redeemed already, an installed OS that asks for its address.
 */
export const decideBoot = (host: Host | undefined, question: BootQuestion): BootAnswer => {
  const { client, lease } = question;
  const boot = host === undefined ? undefined : openBoot(host);
  if (host === undefined || boot?.armedAt === undefined || boot.redeemed !== undefined) return localDisk;
  if (host.held !== null || host.failed !== null || (host.claim?.generation ?? 0) !== boot.generation) return localDisk;
  if (client.stage === 'firmware') {
    const file = client.arch === undefined || client.arch === 'other' ? undefined : bootPrograms[client.arch];
    return file === undefined ? localDisk : { kind: 'chainload', file };
  }
  if (client.stage !== 'ipxe') return localDisk;
  const ticket = mintTicket(question.secret, {
    hostId: host.id,
    boot: boot.number,
    generation: boot.generation,
    address: lease.address,
    expiresAt: boot.openedAt + question.limits.bootTicketMs,
  });
  return { kind: 'script', url: `http://${lease.serverAddress}:${question.httpPort}/boot/${ticket}` };
};

/** May this name be fetched over TFTP by the client of the question now? Only the program that the decision names for it, and that program's companion. */
export const mayFetch = (
  host: Host | undefined,
  name: string,
  question: Omit<BootQuestion, 'client'> & { readonly mac: BootClient['mac'] },
): boolean => {
  const program: string = Object.entries(companions).find(([companion]) => companion === name)?.[1] ?? name;
  for (const arch of ['bios', 'x64-uefi'] as const) {
    if (bootPrograms[arch] !== program) continue;
    const answer = decideBoot(host, { ...question, client: { mac: question.mac, arch, stage: 'firmware' } });
    return answer.kind === 'chainload' && answer.file === program;
  }
  return false;
};
