/** What may be asked together with `--cluster`, and what is refused before anything is started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { withUpOptions } from '../../src/lab/options.ts';
import type { UpOptions } from '../../src/lab/options.ts';
import { checkNetwork } from '../../src/lab/cluster/management.ts';
import type { LabWorld } from '../../src/world/lab-world.ts';
import { rackNet } from '../../src/lab/net.ts';

const read = (...args: string[]): UpOptions => {
  const command = withUpOptions(new Command('up'))
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  command.parse(args, { from: 'user' });
  return command.opts<UpOptions>();
};

test('a cluster has no image and no second subnet of its own, and is not the default', () => {
  assert.equal(read().cluster, false);
  assert.equal(read('--cluster', '--hosts', '3', '--once', '--json', '--memory', '1024').cluster, true);
  assert.throws(() => read('--cluster', '--image', 'debian'), /cannot be used with option/);
  assert.throws(() => read('--cluster', '--subnets', '2'), /cannot be used with option/);
});

const answering = (stdout: string): LabWorld =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one part that is asked
  ({ processes: { run: async () => ({ code: 0, stdout, stderr: '' }) } }) as unknown as LabWorld;

test('a machine that is in the network of the servers already is refused, with what to do', async () => {
  const net = rackNet('lab', { taps: 2 });
  await checkNetwork(answering(''), net);
  const line = '7: rmd0a1b2c3d    inet 10.77.0.250/24 scope global rmd0a1b2c3d\\       valid_lft forever preferred_lft forever\n';
  await assert.rejects(checkNetwork(answering(line), net), { code: 'conflict', message: /10\.77\.0\.250\/24 at rmd0a1b2c3d.*lab -- down/ });
});
