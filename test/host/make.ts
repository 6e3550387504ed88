/** Hosts for tests, in any state, made by the rulebook itself. */
import assert from 'node:assert/strict';
import type { HostEvent } from '../../src/host/events.ts';
import { newHost } from '../../src/host/host.ts';
import type { Host, Intent } from '../../src/host/host.ts';
import type { Inventory } from '../../src/host/inventory.ts';
import { transition } from '../../src/host/transition.ts';
import { parseMac } from '../../src/wire/address.ts';

const mac = parseMac('52:54:00:00:00:01');
assert.ok(mac !== undefined);
export const bmc = { protocol: 'redfish' as const, url: 'https://bmc', username: 'root', password: 'secret' };
export const disk = { path: '/dev/vda', sizeBytes: 1024, serial: 'd0' };
export const inventory: Inventory = {
  firmware: 'bios',
  arch: 'x86_64',
  cpu: { model: 'test', cores: 1, threads: 1 },
  memoryBytes: 1,
  disks: [{ ...disk, name: 'vda', rotational: false, removable: false, readOnly: false }],
  nics: [],
};
export const intent: Intent = { image: 'sha256:aa', imageName: 'alpha', imageSizeBytes: 512, phoneHome: 'image', hostName: 'one' };
export const enrolled: Host = newHost({ id: 'h1', name: 'one', state: 'enrolled', macs: [mac], bmc }, 0);

/** Applies events that must be accepted. */
export const after = (host: Host, ...events: HostEvent[]): Host =>
  events.reduce((now, event) => {
    const verdict = transition(now, event, 1000);
    assert.ok('host' in verdict, `${event.type}: ${JSON.stringify(verdict)}`);
    return verdict.host;
  }, host);
/** The code of the refusal; undefined where it was accepted. */
export const refusal = (host: Host, event: HostEvent): string | undefined => {
  const verdict = transition(host, event, 1000);
  return 'refused' in verdict ? verdict.refused : undefined;
};
const boot = (number: number): HostEvent[] => [
  { type: 'boot-opened' },
  { type: 'boot-armed', note: '' },
  { type: 'boot-powered' },
  { type: 'redeemed', boot: number, publicKey: 'key' },
  { type: 'inventory', boot: number, inventory },
];
const job = (number: number, generation: number, kind: 'install' | 'clean'): HostEvent[] => [
  { type: 'job-given', job: { id: `${number}.${generation}.${kind}`, kind, boot: number, claimId: 'c1', generation, disk, givenAt: 0 } },
  { type: 'job-started', jobId: `${number}.${generation}.${kind}` },
];
export const identified: Host = after(enrolled, { type: 'identified', macs: [] });
export const available: Host = after(identified, ...boot(1));
export const claimed: Host = after(available, { type: 'claim', id: 'c1', owner: 'me', intent, rule: { serial: 'd0' }, disk });
export const writing: Host = after(claimed, ...job(1, 1, 'install'));
export const installed: Host = after(writing, { type: 'installed', jobId: '1.1.install', digest: intent.image });
export const provisioned: Host = after(installed, { type: 'phoned-home', claimId: 'c1', generation: 1, hostName: 'one' });
export const released: Host = after(provisioned, { type: 'release', claimId: 'c1', by: 'me' });
export const cleaning: Host = after(released, ...boot(2), ...job(2, 1, 'clean'));
export const everyHost: readonly Host[] = [enrolled, identified, available, claimed, writing, installed, provisioned, released, cleaning];
