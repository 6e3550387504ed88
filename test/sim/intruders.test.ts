/** Somebody else on the boot network: he reads everything, takes any address and knows what can be known, and gets nothing. */
import assert from 'node:assert/strict';
import { ipv4From, parseIpv4 } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { chanceOf } from './chance.ts';
import { redemption } from './metal.ts';
import { secretWord } from './rack.ts';
import type { SimRack } from './rack.ts';
import { asleep, available, claim, hostOf, minute, pass, provisioned, reach, scene, shout, sniff } from './stage.ts';
import type { Heard, Shout } from './stage.ts';
import { state, timeline, writes, writing } from './stage.ts';
import { poison } from './scheduler.ts';

poison();
const mine = chanceOf(7, 'intruder');
const elsewhere = parseIpv4('10.77.0.99');
assert.ok(elsewhere !== undefined);
/** The address that a ticket was handed out with. */
const addressOf = (ticket: string): Ipv4 => ipv4From(parseInt(ticket.split('.')[3] ?? '', 36));
const redeem = (rack: SimRack, ticket: string, from = addressOf(ticket)): Promise<Heard> =>
  shout(rack, from, { path: '/agent/redeem', body: redemption(ticket, mine) });
const isRefused = ({ status, code }: Heard, wantedStatus: number, wantedCode: string): void => {
  assert.equal(code, wantedCode);
  assert.equal(status, wantedStatus);
};
/** A claim whose boot has fetched its script a moment ago: the ticket of that boot. */
const bootingTicket = async (rack: SimRack): Promise<string> => {
  await asleep(rack);
  const { tickets } = sniff(rack);
  await claim(rack);
  await reach(rack, 'booting', () => tickets.length > 0);
  const [ticket = ''] = tickets;
  return ticket;
};

scene('a script is fetched again until its ticket is redeemed, then it is over', async (rack) => {
  const ticket = await bootingTicket(rack);
  const from = addressOf(ticket);
  const script = await shout(rack, from, { path: `/boot/${ticket}` });
  assert.equal(script.status, 200);
  assert.ok(script.text.startsWith('#!ipxe') && !script.text.includes(secretWord));
  await reach(rack, 'redeemed', () => hostOf(rack).boot?.redeemed !== undefined);
  isRefused(await shout(rack, from, { path: `/boot/${ticket}` }), 410, 'ticket-stale');
  await provisioned(rack);
  isRefused(await shout(rack, from, { path: `/boot/${ticket}` }), 410, 'ticket-stale');
});
scene('a ticket is good at one address only', async (rack) => {
  const ticket = await bootingTicket(rack);
  isRefused(await shout(rack, elsewhere, { path: `/boot/${ticket}` }), 403, 'ticket-invalid');
  isRefused(await redeem(rack, ticket, elsewhere), 403, 'ticket-invalid');
  assert.equal(hostOf(rack).boot?.redeemed, undefined);
  await provisioned(rack);
});
scene('a ticket of the generation before is stale, and a new boot serves the new one', async (rack) => {
  const ticket = await bootingTicket(rack);
  rack.reprovision('c1', 'beta');
  await reach(rack, 'changed', () => hostOf(rack).claim?.generation === 2);
  isRefused(await shout(rack, addressOf(ticket), { path: `/boot/${ticket}` }), 410, 'ticket-stale');
  isRefused(await redeem(rack, ticket), 410, 'ticket-stale');
  await provisioned(rack, 2);
  assert.equal(rack.metal('h1').booted.at(-1)?.digest, rack.images.get('beta')?.digest);
});
scene(
  'a ticket that nobody redeemed in time has expired',
  async (rack) => {
    const ticket = await bootingTicket(rack);
    rack.metal('h1').unplug();
    await pass(rack, 20 * minute);
    isRefused(await shout(rack, addressOf(ticket), { path: `/boot/${ticket}` }), 410, 'ticket-expired');
    isRefused(await redeem(rack, ticket), 410, 'ticket-expired');
  },
  { limits: { bootTicketMs: 60_000 } },
);

scene('two keys for one ticket: from then on the host is held, the user data goes to nobody, nothing more is written', async (rack) => {
  const ticket = await bootingTicket(rack);
  const from = addressOf(ticket);
  const racer = await redeem(rack, ticket);
  assert.equal(racer.status, 200, 'whoever reads the ticket may be the first');
  const { credential } = JSON.parse(racer.text) as { credential: string };
  const before = writes(rack);
  await reach(rack, 'contested', () => hostOf(rack).held !== null);
  assert.match(
    hostOf(rack).held?.why ?? '',
    /two agents with different keys redeemed the ticket of boot \d+: somebody on the boot network has read it/,
  );
  assert.match(await timeline(rack), /boot contested: .*boot-contested/);
  const { claim: held, boot } = hostOf(rack);
  const job = `${boot?.number}.${held?.generation}.install`;
  for (const path of ['/agent/seed', '/agent/progress', '/agent/next', '/agent/report', '/agent/inventory']) {
    const answer = await shout(rack, from, {
      path,
      credential,
      body: { job, step: 'write', doneBytes: 0, totalBytes: 1, outcome: 'done' },
    });
    isRefused(answer, 403, 'boot-contested');
    assert.ok(!answer.text.includes(secretWord));
  }
  isRefused(await redeem(rack, ticket), 403, 'boot-contested');
  await pass(rack, 30 * minute);
  assert.equal(writes(rack), before);
  assert.equal(hostOf(rack).facts.installed, null);
  rack.network.onCall = () => undefined;
  rack.unhold('h1');
  await provisioned(rack);
});
scene('a thief comes after the agent: the work stops, the host is held', async (rack) => {
  const ticket = await bootingTicket(rack);
  await writing(rack);
  isRefused(await redeem(rack, ticket), 403, 'boot-contested');
  const before = writes(rack);
  await pass(rack, 30 * minute);
  assert.ok(writes(rack) <= before + 1, 'at most the chunk that was on its way');
  assert.equal(hostOf(rack).held?.by, 'boot');
  assert.equal(hostOf(rack).state, 'provisioning');
});

scene('an outsider who knows MAC, UUID, host ID and address gets nothing from any route', async (rack) => {
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  const { id, macs, uuid, boot, version } = hostOf(rack);
  const address = rack.metal('h1').party.address;
  const [mac = ''] = macs;
  const junk = 'A'.repeat(22);
  const forged = [
    mac,
    mac.replaceAll(':', ''),
    uuid ?? '',
    id,
    `${id}.${boot?.number}.1.2uw3le.zzzzzzzz.${junk}`,
    `${id}.${boot?.number}.${junk}`,
  ];
  const agentCalls = ['inventory', 'next', 'progress', 'seed', 'report'].map((verb) => `/agent/${verb}`);
  const job = `${boot?.number}.1.install`;
  const shouts: readonly Shout[] = [
    ...forged.map((word) => ({ path: `/boot/${encodeURIComponent(word)}` })),
    ...forged.map((word) => ({ path: `/phone-home/${encodeURIComponent(word)}`, body: 'hostname=h1' })),
    ...forged.map((word) => ({ path: '/agent/redeem', body: redemption(word, mine) })),
    ...agentCalls.map((path) => ({ path, body: { job } })),
    ...agentCalls.flatMap((path) => forged.map((credential) => ({ path, body: { job }, credential }))),
    ...agentCalls.map((path) => ({ path, body: '{"job":', credential: junk })),
    { path: '/files/vmlinuz' },
    { path: `/files/${'0'.repeat(64)}/vmlinuz` },
    { path: `/files/${'a'.repeat(64)}/..%2f..%2fremuda.db` },
    { path: '/chunks/..%2f..%2fremuda.db' },
    { path: `/chunks/${'0'.repeat(64)}` },
    ...['/v1/hosts', '/v1/claims', '/v1/images', '/v1/leases', `/v1/hosts/h1`, `/v1/hosts/h1/timeline`].map((path) => ({ path })),
    { path: '/v1/hosts/h1/power', body: { power: 'off' } },
    { path: '/', body: {} },
  ];
  for (const from of [address, elsewhere])
    for (const one of shouts) {
      const { status, text } = await shout(rack, from, one);
      assert.ok(status >= 400 && status < 500, `${one.path} ${JSON.stringify(one.body)} was answered with ${status}`);
      assert.ok(!text.includes(secretWord) && !text.includes('10.77.9.1'), text);
    }
  assert.equal(hostOf(rack).version, version, 'nothing changed');
});
scene('a phone-home of the generation before changes nothing', async (rack) => {
  const { phoneHomes } = sniff(rack);
  await available(rack);
  await claim(rack);
  await provisioned(rack);
  const [token = ''] = phoneHomes;
  rack.reprovision('c1', 'beta');
  await reach(rack, 'changed', () => hostOf(rack).claim?.generation === 2);
  isRefused(await shout(rack, elsewhere, { path: `/phone-home/${token}`, body: 'hostname=thief' }), 409, 'generation-stale');
  assert.equal(hostOf(rack).state, 'provisioning');
  await provisioned(rack, 2);
  const { version } = hostOf(rack);
  isRefused(await shout(rack, elsewhere, { path: `/phone-home/${token}`, body: 'hostname=thief' }), 409, 'generation-stale');
  assert.equal(hostOf(rack).version, version);
  rack.release('c1');
  await reach(rack, 'available', state(rack, 'h1', 'available'));
  isRefused(await shout(rack, elsewhere, { path: `/phone-home/${token}`, body: 'hostname=thief' }), 409, 'generation-stale');
});
scene('a phone-home token of one host does nothing for another', async (rack) => {
  const { phoneHomes } = sniff(rack);
  await available(rack, 'h1');
  await claim(rack);
  await provisioned(rack);
  await asleep(rack, 'h2');
  await claim(rack, { id: 'c2', host: 'h2', disk: { serial: 'disk-2' } });
  const [token = ''] = phoneHomes;
  const forged = [hostOf(rack, 'h2').id, ...token.split('.').slice(1)].join('.');
  isRefused(await shout(rack, elsewhere, { path: `/phone-home/${forged}`, body: 'hostname=h2' }), 403, 'ticket-invalid');
  // The real token, shown by anybody, says again what is known: h1 is up.
  const { version } = hostOf(rack, 'h1');
  const { onAnswer } = rack.network;
  rack.network.onAnswer = () => undefined;
  const again = await shout(rack, elsewhere, { path: `/phone-home/${token}`, body: 'hostname=thief' });
  rack.network.onAnswer = onAnswer;
  assert.equal(again.status, 204);
  assert.equal(hostOf(rack, 'h1').version, version);
  assert.equal(hostOf(rack, 'h2').state, 'provisioning');
  await provisioned(rack, 1, 'h2');
});
