/** Hosts enrolled one by one and many at once, described, given another BMC: each held against the rest of the rack first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptSchema, bmcPutSchema, enrolmentsSchema, enrolSchema } from '../../src/control/rack.ts';
import type { BmcPut, EnrolmentReport, Rack } from '../../src/control/rack.ts';
import { newHost } from '../../src/host/host.ts';
import { benchWith, by, hostNumber, macOf, refused } from './bench.ts';

const bmc = (last: number, password = 'secret') => ({ url: `https://10.1.0.${last}`, username: 'root', password });
const row = (number: number, part: Record<string, unknown> = {}) => ({
  name: `n${number}`,
  macs: [macOf(number)],
  bmc: bmc(number),
  ...part,
});
const many = (rack: Rack, hosts: readonly unknown[], more: Record<string, unknown> = {}): Promise<EnrolmentReport> =>
  rack.enrolMany(enrolmentsSchema.parse({ hosts, ...more }), by);
const outcomes = ({ rows }: EnrolmentReport): readonly string[] => rows.map(({ outcome }) => outcome);

test('all rows are good: a dry run writes nothing, a run writes all, a second run nothing more', async () => {
  const { rack } = await benchWith([]);
  const rows = [row(1, { pool: 'gpu', labels: { tier: 'web' }, rack: 'r1', unit: 1 }), row(2, { rack: 'r1', unit: 2 })];
  const dry = await many(rack, rows, { dryRun: true });
  assert.deepEqual([dry.written, outcomes(dry), (await rack.hosts()).length], [false, ['new', 'new'], 0]);
  const first = await many(rack, rows);
  assert.deepEqual([first.written, outcomes(first)], [true, ['new', 'new']]);
  const { host } = await rack.host('n1');
  assert.deepEqual(
    [host.profile.pool, host.profile.labels, host.state, host.bmc?.password],
    ['gpu', { tier: 'web' }, 'enrolled', 'secret'],
  );
  const second = await many(rack, rows);
  assert.deepEqual([second.written, outcomes(second)], [false, ['same', 'same']]);
  assert.equal((await rack.host('n1')).host.version, host.version);
});
test('one row is wrong: nothing is written, unless the operator says partial', async () => {
  const { rack } = await benchWith([]);
  const rows = [row(1), row(2, { bmc: { ...bmc(2), url: 'ftp://10.1.0.2' } }), row(3)];
  const refusedAll = await many(rack, rows);
  assert.deepEqual([refusedAll.written, outcomes(refusedAll)], [false, ['new', 'error', 'new']]);
  assert.equal((await rack.hosts()).length, 0);
  const partial = await many(rack, rows, { partial: true });
  assert.deepEqual([partial.written, outcomes(partial)], [true, ['new', 'error', 'new']]);
  assert.deepEqual(
    (await rack.hosts()).map(({ host }) => host.name),
    ['n1', 'n3'],
  );
});
test('a second run changes a description, and nothing else', async () => {
  const { rack } = await benchWith([]);
  await many(rack, [row(1, { labels: { a: '1', b: '2' } })]);
  const next = row(1, { labels: { a: '1', c: '3' }, pool: 'gpu', serial: 'S1' });
  const report = await many(rack, [next]);
  assert.deepEqual(outcomes(report), ['changed']);
  assert.deepEqual(report.rows[0]?.reasons, ['pool: default → gpu', 'label b: 2 → none', 'label c: none → 3', 'serial: none → S1']);
  const { host } = await rack.host('n1');
  assert.deepEqual([host.profile.labels, host.profile.pool, host.serial], [{ a: '1', c: '3' }, 'gpu', 'S1']);
  assert.deepEqual(outcomes(await many(rack, [next])), ['same']);
  const other = await many(rack, [row(1, { bmc: bmc(1, 'other'), macs: [macOf(7)] })]);
  assert.deepEqual(outcomes(other), ['error']);
  assert.match(other.rows[0]?.reasons.join('; ') ?? '', /adopt and remove.*its BMC is another one, or with other credentials/);
  assert.ok(!JSON.stringify(other).includes('other"'));
});

const rack1 = { ...hostNumber(50), name: 'old', serial: 'S50' };
const wrong: readonly { readonly name: string; readonly rows: readonly unknown[]; readonly says: RegExp }[] = [
  { name: 'no name', rows: [{ macs: [macOf(1)] }], says: /^name: / },
  { name: 'neither MAC nor BMC', rows: [{ name: 'x' }], says: /name a MAC address or a BMC/ },
  { name: 'an unknown column', rows: [row(1, { colour: 'red' })], says: /colour/ },
  { name: 'the name twice', rows: [row(1), row(2, { name: 'n1' })], says: /there is a host n1 already, in an earlier row/ },
  {
    name: 'a MAC twice',
    rows: [row(1), row(2, { macs: [macOf(1)] })],
    says: /MAC 52:54:00:00:00:01 is that of host n1, in an earlier row/,
  },
  {
    name: 'a serial twice',
    rows: [row(1, { serial: 'S' }), row(2, { serial: 'S' })],
    says: /serial number s is that of host n1, in an earlier row/,
  },
  {
    name: 'a BMC twice',
    rows: [row(1), row(2, { bmc: bmc(1) })],
    says: /its BMC https:\/\/10\.1\.0\.1 is that of host n1, in an earlier row/,
  },
  {
    name: 'a place twice',
    rows: [row(1, { rack: 'r', unit: 1 }), row(2, { rack: 'r', unit: 1 })],
    says: /unit 1 of rack r is that of host n1/,
  },
  { name: 'a MAC of the rack', rows: [row(1, { macs: [macOf(50)] })], says: /MAC 52:54:00:00:00:32 is that of host old/ },
  { name: 'a serial of the rack', rows: [row(1, { serial: 's50' })], says: /serial number s50 is that of host old/ },
  { name: 'a BMC of the rack', rows: [row(1, { bmc: { ...bmc(1), url: rack1.bmc?.url } })], says: /its BMC .* is that of host old/ },
  { name: 'a multicast MAC', rows: [row(1, { macs: ['01:00:5e:00:00:01'] })], says: /no address that one machine can have/ },
  { name: 'a user in the URL', rows: [row(1, { bmc: { ...bmc(1), url: 'https://root:pw@10.1.0.1' } })], says: /in their own fields/ },
  { name: 'IPMI over https', rows: [row(1, { bmc: { ...bmc(1), protocol: 'ipmi' } })], says: /IPMI wants a URL like/ },
  {
    name: 'a certificate for IPMI',
    rows: [row(1, { bmc: { ...bmc(1), protocol: 'ipmi', url: 'ipmi://10.1.0.1', insecure: true } })],
    says: /IPMI has no certificate/,
  },
];
for (const { name, rows, says } of wrong)
  test(`a row is refused: ${name}`, async () => {
    const { rack } = await benchWith([rack1]);
    const report = await many(rack, rows);
    const last = report.rows.at(-1);
    assert.equal(last?.outcome, 'error');
    assert.match(last?.reasons.join('; ') ?? '', says);
    assert.equal((await rack.hosts()).length, 1);
  });
test('no answer repeats a password, whatever column it was put in', async () => {
  const { rack } = await benchWith([]);
  const report = await many(rack, [
    row(1, { serial: ['hunter2'], hunter: 'hunter2', bmc: { url: 'hunter2', username: 'root', password: 'hunter2' } }),
  ]);
  assert.ok(!JSON.stringify(report).includes('hunter2'), JSON.stringify(report));
});
test('a thousand rows in one request', async () => {
  const { rack } = await benchWith([]);
  const rows = Array.from({ length: 1000 }, (_, index) => ({ name: `n${index}`, macs: [macOf(index)] }));
  const report = await many(rack, rows, { dryRun: true });
  assert.ok(report.rows.every(({ outcome }) => outcome === 'new'));
});

test('a machine that was only seen gives way to the host that it is', async () => {
  const seen = newHost({ id: 'seen', name: 'unknown-1', state: 'discovered', macs: [macOf(1)] }, 0);
  const { rack } = await benchWith([seen]);
  await rack.enrol(enrolSchema.parse(row(1)), by);
  assert.deepEqual(
    (await rack.hosts()).map(({ host }) => host.name),
    ['n1'],
  );
});
test('enrol: everything that is another host’s already is said at once', async () => {
  const { rack } = await benchWith([rack1]);
  const spec = enrolSchema.parse(row(1, { name: 'old', macs: [macOf(50)], serial: 'S50' }));
  await assert.rejects(
    rack.enrol(spec, by),
    refused('host-exists', /there is a host old already; .*serial number s50.*MAC 52:54:00:00:00:32/i),
  );
});
test('describe: a place that is taken and a serial number of another are refused with the other’s name', async () => {
  const { rack } = await benchWith([rack1, hostNumber(1)]);
  await rack.describe('old', { rack: 'r1', unit: 4 }, by);
  await assert.rejects(rack.describe('h001', { rack: 'r1', unit: 4 }, by), refused('host-exists', /unit 4 of rack r1 is that of host old/));
  await assert.rejects(rack.describe('h001', { serial: 'S50' }, by), refused('host-exists', /serial .* is that of host old/));
  await rack.describe('h001', { rack: 'r1', unit: 5 }, by);
  await assert.rejects(rack.describe('h001', { unit: 4 }, by), refused('host-exists', /host old/));
  await assert.rejects(rack.describe('h001', { unit: 6 }, { by: 'eve', ifVersion: 1 }), refused('precondition-failed', /version/));
});

const put = (more: Record<string, unknown>): BmcPut => bmcPutSchema.parse({ username: 'root', ...more });
const identity = (last: number) => ({ vendor: 'Lab', macs: [macOf(last)], power: 'on' as const });
test('another BMC: asked first, then recorded with what it said of itself', async () => {
  const { rack, bmcs, sent } = await benchWith([hostNumber(1)]);
  const url = 'https://10.9.9.9';
  await assert.rejects(rack.setBmc('h001', put({ url, password: 'new' }), by), refused('bmc-unreachable', /does not answer/));
  assert.equal((await rack.host('h001')).host.bmc?.password, 'secret');
  bmcs.set(url, identity(1));
  const host = await rack.setBmc('h001', put({ url, password: 'new' }), by);
  assert.deepEqual([host.bmc?.url, host.identified?.vendor, host.facts.power], [url, 'Lab', 'on']);
  assert.deepEqual(sent.at(-1), { url, password: 'new' });
});
test('the password that is known goes nowhere but where it went before', async () => {
  const { rack, bmcs, sent } = await benchWith([hostNumber(1)]);
  const { url = '' } = hostNumber(1).bmc ?? {};
  bmcs.set('https://10.9.9.9', identity(1));
  bmcs.set(url, identity(1));
  await assert.rejects(rack.setBmc('h001', put({ url: 'https://10.9.9.9' }), by), refused('bad-request', /say the password/));
  assert.deepEqual(sent, []);
  const host = await rack.setBmc('h001', put({ url, username: 'admin' }), by);
  assert.deepEqual([host.bmc?.username, host.bmc?.password], ['admin', 'secret']);
});
test('a BMC unasked, a BMC of another host, a BMC taken away', async () => {
  const { rack, sent } = await benchWith([hostNumber(1), hostNumber(2)]);
  const host = await rack.setBmc('h001', put({ url: 'https://10.9.9.8', password: 'x', check: false }), by);
  assert.deepEqual([host.bmc?.url, host.identified, sent], ['https://10.9.9.8', null, []]);
  const { url = '' } = hostNumber(2).bmc ?? {};
  await assert.rejects(rack.setBmc('h001', put({ url, password: 'x' }), by), refused('host-exists', /that of host h002/));
  assert.equal((await rack.setBmc('h001', null, by)).bmc, null);
  await assert.rejects(rack.power('h001', 'on', by), refused('state-conflict', /has no BMC: press its power button/));
  await assert.rejects(rack.locate('h001', { on: true, seconds: 60 }, by), refused('state-conflict', /has no BMC: the lamp/));
});
test('power and the light, for people: each stands in the timeline with who asked', async () => {
  const { rack, bmcs } = await benchWith([hostNumber(1)]);
  bmcs.set(hostNumber(1).bmc?.url ?? '', identity(1));
  assert.deepEqual(await rack.power('h001', 'cycle', by), { observed: 'on', settled: true });
  assert.deepEqual(await rack.locate('h001', { on: true, seconds: 30 }, by), { observed: 'on', settled: true });
  const told = (await rack.timeline('h001', { most: 10 })).map(({ text }) => text).join('\n');
  assert.match(told, /power cycle asked by eve: it is on/);
  assert.match(told, /identify light asked by eve: 30 s/);
});
test('conflicts are shown with both hosts, and hold nothing', async () => {
  const { rack } = await benchWith([{ ...hostNumber(1), serial: 'S' }, { ...hostNumber(2), serial: 's' }, hostNumber(3)]);
  const views = await rack.hosts();
  assert.deepEqual(
    views.map(({ conflicts }) => (conflicts ?? []).map(({ what, host }) => `${what} ${host.name}`)),
    [['serial h002'], ['serial h001'], []],
  );
  assert.ok(views.every(({ host }) => host.held === null && host.failed === null));
});
test('accept: with a BMC of its own, not with that of another host', async () => {
  const seen = newHost({ id: 'seen', name: 'unknown-1', state: 'discovered', macs: [macOf(9)] }, 0);
  const { rack } = await benchWith([seen, rack1]);
  const theirs = { ...bmc(1), url: rack1.bmc?.url };
  await assert.rejects(rack.accept('unknown-1', acceptSchema.parse({ bmc: theirs }), by), refused('host-exists', /that of host old/));
  assert.equal((await rack.accept('unknown-1', acceptSchema.parse({ bmc: bmc(1) }), by)).state, 'enrolled');
});
