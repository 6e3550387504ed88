/** The line `next:` of a refusal: what helps in this case, not what the code alone would advise. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { misfitsJson } from '../../src/api/types.ts';
import { misfitAdvice } from '../../src/cli/misfit-advice.ts';
import { RemudaError } from '../../src/errors.ts';
import { bench } from './bench.ts';

test('what the daemon advises in this case goes before what the code alone would', async () => {
  const { rack, run } = await bench();
  rack.refuse = { code: 'disk-ambiguous', message: '2 disks match', next: 'take the first one' };
  assert.match((await run('claim create --image debian')).err, /^error: 2 disks match\nnext: {2}take the first one\n$/);
});
describe('no host could be taken: the advice is about what keeps most of them away', () => {
  const classes = (...names: readonly string[]) => ({
    lookedAt: names.length,
    classes: names.map((name) => ({ class: name, count: 1, hosts: [`host-${name}`], detail: name })),
  });
  for (const [values, says] of [
    [classes('uninspected', 'held'), 'remuda host show host-uninspected'],
    [classes('held'), 'remuda host unhold host-held'],
    [classes('labels'), 'remuda host label host-labels KEY=VALUE'],
    [classes('memory'), 'ask for less'],
    [classes('cleaning'), '--wait-for-host'],
    [classes('reserved'), 'remuda host unreserve host-reserved'],
    [{ lookedAt: 0, classes: [] }, 'remuda host enrol NAME --mac MAC'],
    [{ host: 'h7', class: 'failed' }, 'remuda host retry h7'],
  ] as const)
    test(says, async () => {
      const { rack, run } = await bench();
      rack.refuse = { code: 'no-host-fits', message: 'none fits', values };
      const { exit, err } = await run('claim create --image debian');
      assert.equal(exit, 1);
      assert.ok(/\nnext: {2}(.*)\n$/.exec(err)?.[1]?.includes(says), err);
    });
  test('every class has its advice', async () => {
    for (const name of misfitsJson.shape.classes.element.shape.class.options)
      assert.match(misfitAdvice({ values: { host: 'h7', class: name } }) ?? '', /\w/, name);
  });
});
test('a fault of this command itself does not send anybody to the log of a daemon', async () => {
  const { local, run } = await bench();
  local.config.check = () => Promise.reject(new RemudaError('internal', 'cannot read /r.yaml: it is a folder'));
  assert.equal((await run('config check /r.yaml')).err, 'error: cannot read /r.yaml: it is a folder\n');
});
test('serve sends to its configuration where nothing better was said', async () => {
  const { local, run } = await bench();
  for (const [more, next] of [
    [{}, 'mend the configuration file and start again'],
    [{ next: 'put the key there' }, 'put the key there'],
  ] as const) {
    Object.assign(local, { serve: () => Promise.reject(new RemudaError('bad-config', 'no', more)) });
    const { exit, err } = await run('serve');
    assert.deepEqual([exit, err], [1, `error: no\nnext:  ${next}\n`]);
  }
});
