/** The one decision about a boot, over every state of a host, every stage and every architecture. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootPrograms, decideBoot } from '../../src/boot/decide.ts';
import { readTicket } from '../../src/boot/ticket.ts';
import type { HostEvent } from '../../src/host/events.ts';
import type { Host } from '../../src/host/host.ts';
import { newHost } from '../../src/host/host.ts';
import { limits } from '../../src/limits.ts';
import { ipv4From, parseMac } from '../../src/wire/address.ts';
import type { BootAnswer, BootClient } from '../../src/wire/words.ts';
import { after, everyHost, identified, provisioned } from '../host/make.ts';

const secret = Buffer.alloc(32, 7);
const mac = parseMac('52:54:00:00:00:01');
assert.ok(mac !== undefined);
const lease = { address: ipv4From(0x0a4d0032), serverAddress: ipv4From(0x0a4d0001) };
const stages = ['firmware', 'ipxe', 'http', 'os'] as const;
const archs = ['bios', 'x64-uefi', 'other', undefined] as const;
const clients: readonly BootClient[] = stages.flatMap((stage) =>
  archs.map((arch) => ({ mac, stage, ...(arch === undefined ? {} : { arch }) })),
);
const decide = (host: Host | undefined, client: BootClient): BootAnswer =>
  decideBoot(host, { client, lease, httpPort: 7480, secret, limits });
const localDisk: BootAnswer = { kind: 'local-disk' };
const named = ({ stage, arch }: BootClient): string => `${stage} ${arch ?? '(no architecture)'}`;

const opened = after(identified, { type: 'boot-opened' });
const armed = after(opened, { type: 'boot-armed', note: '' });
const reopened = after(
  provisioned,
  { type: 'release', claimId: 'c1', by: 'me' },
  { type: 'boot-opened' },
  { type: 'boot-armed', note: '' },
);
const reprovisioned = after(provisioned, { type: 'reprovision', claimId: 'c1', intent: { image: 'sha256:bb' } } as HostEvent);
const armedFor2 = after(reprovisioned, { type: 'boot-opened' }, { type: 'boot-armed', note: '' });
const movedOn = after(armedFor2, { type: 'reprovision', claimId: 'c1', intent: { image: 'sha256:cc' } } as HostEvent);
const withoutBmc = after(newHost({ id: 'h2', name: 'two', state: 'enrolled', macs: [mac] }, 0), { type: 'boot-opened' });

/** The boots that are answered: open, armed, not redeemed, of the generation that is wanted now. */
const answered: Readonly<Record<string, Host>> = {
  armed,
  'powered on': after(armed, { type: 'boot-powered' }),
  'to be cleaned': reopened,
  'of generation 2': armedFor2,
  'without a BMC': withoutBmc,
};
const unanswered: Readonly<Record<string, Host | undefined>> = {
  'nobody we know': undefined,
  discovered: newHost({ id: 'h3', name: 'three', state: 'discovered', macs: [mac] }, 0),
  'opened, not armed yet': opened,
  redeemed: after(armed, { type: 'redeemed', boot: 1, publicKey: 'key' }),
  contested: after(armed, { type: 'redeemed', boot: 1, publicKey: 'key' }, { type: 'redeemed', boot: 1, publicKey: 'another' }),
  closed: after(armed, { type: 'boot-failed', code: 'internal', reason: '', triesMax: 3 }),
  held: after(armed, { type: 'hold', by: 'me', why: 'looking' }),
  'held and lifted': after(armed, { type: 'hold', by: 'me', why: 'looking' }, { type: 'unhold', by: 'me' }),
  failed: after(armed, { type: 'step-failed', step: 'boot', code: 'internal', reason: '' }),
  'armed for the generation before': movedOn,
  ...Object.fromEntries(everyHost.map((host, index) => [`${index} ${host.state}, no armed boot`, host])),
};

for (const [name, host] of Object.entries(answered))
  test(`booted from the network: ${name}`, () => {
    for (const client of clients) {
      const answer = decide(host, client);
      if (client.stage === 'firmware') {
        const file = client.arch === 'bios' ? bootPrograms.bios : client.arch === 'x64-uefi' ? bootPrograms['x64-uefi'] : undefined;
        assert.deepEqual(answer, file === undefined ? localDisk : { kind: 'chainload', file }, named(client));
      } else if (client.stage === 'ipxe') {
        assert.ok(answer.kind === 'script', named(client));
        const [, word = ''] = /^http:\/\/10\.77\.0\.1:7480\/boot\/([\w.-]+)$/.exec(answer.url) ?? [];
        assert.deepEqual(readTicket(secret, word), {
          hostId: host.id,
          boot: host.boot?.number,
          generation: host.claim?.generation ?? 0,
          address: lease.address,
          expiresAt: (host.boot?.openedAt ?? 0) + limits.bootTicketMs,
        });
        assert.deepEqual(decide(host, client), answer, 'asked again, the same URL');
      } else assert.deepEqual(answer, localDisk, named(client));
    }
  });
for (const [name, host] of Object.entries(unanswered))
  test(`its local disk: ${name}`, () => {
    for (const client of clients) assert.deepEqual(decide(host, client), localDisk, named(client));
  });
