/** The contact with the rack: what is missing is told at once at the start, and later only when more than one call was lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemudaError } from '../../../src/errors.ts';
import { Contact } from '../../../src/kube/runtime/contact.ts';
import { fakeWorld } from '../../world/fake.ts';

const closed = new RemudaError('rack-unreachable', 'the daemon was not reached', { next: 'check --url' });
const sceneOf = (ask: (signal: AbortSignal) => Promise<void>) => {
  const world = fakeWorld();
  const contact = new Contact({ world, log: world.log, ask });
  const ending = new AbortController();
  const running = contact.run(ending.signal);
  const end = async (): Promise<void> => {
    ending.abort();
    await running;
  };
  return {
    world,
    contact,
    end,
    lines: () =>
      world.logged.map(({ level, message, fields: { reason } }) =>
        `${level} ${message} ${typeof reason === 'string' ? reason : ''}`.trim(),
      ),
  };
};

test('a rack that was never heard is a problem from the start, with what to do; heard once, it is none', async () => {
  let failure: RemudaError | undefined = closed;
  const { world, contact, end, lines } = sceneOf(async () => {
    if (failure !== undefined) throw failure;
  });
  assert.equal(contact.problem(), 'the daemon was asked, and no answer came yet');
  await world.advance(1);
  assert.equal(contact.problem(), 'the daemon was not reached; check --url');
  await world.advance(40_000);
  assert.deepEqual(lines(), ['warn the rack cannot be worked with; it is asked again the daemon was not reached; check --url']);
  await world.advance(30_000);
  assert.equal(lines().length, 2, 'it is told again after a minute');
  failure = undefined;
  await world.advance(15_000);
  assert.equal(contact.problem(), undefined);
  assert.equal(lines().at(-1), 'info the daemon answers');
  await world.advance(60_000);
  assert.equal(lines().length, 3);
  await end();
});

test('one lost call changes nothing, a daemon that stays away does, and one that comes back is ready at once', async () => {
  let failures = 0;
  const { world, contact, end } = sceneOf(async () => {
    if (failures-- > 0) throw closed;
  });
  await world.advance(16_000);
  failures = 1;
  for (let step = 0; step < 30; step++) {
    await world.advance(1_000);
    assert.equal(contact.problem(), undefined);
  }
  failures = Infinity;
  await world.advance(60_000);
  assert.equal(contact.problem(), undefined);
  await world.advance(30_000);
  assert.match(contact.problem() ?? '', /was not reached; check --url/);
  failures = 0;
  await world.advance(15_000);
  assert.equal(contact.problem(), undefined);
  await end();
});

test('a question that is never answered is told too', async () => {
  let asked = 0;
  const { world, contact, end } = sceneOf(async (signal) => {
    if (asked++ > 0) await world.clock.sleep(200_000, signal);
  });
  await world.advance(60_000);
  assert.equal(contact.problem(), undefined);
  await world.advance(40_000);
  assert.equal(contact.problem(), 'the daemon has not answered for 100 s');
  await end();
});
