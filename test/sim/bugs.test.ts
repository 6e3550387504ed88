/** Planted bugs: each patch of bugs/ breaks src in one place, and the simulation must say which law it broke. A simulation that finds nothing proves nothing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { simEnd } from './run-sim.ts';
import type { SimEnd } from './run-sim.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** One after the other in one process: most bugs show on the first day, and each process has to read the whole tree. */
const days = ['--seeds', '12', '--runs', '1', '--processes', '1'];
/** What the simulation must say of each, and what it must run to see it. */
const bugs: Readonly<Record<string, { readonly says: RegExp; readonly words?: readonly string[] }>> = {
  'chance-not-from-the-world': { says: /two runs of one seed differ/, words: ['--seeds', '2', '--processes', '1'] },
  'claim-not-exclusive': { says: /was taken from the claim that holds it/ },
  'clean-any-disk': { says: /a disk that nobody gave us was written/ },
  'date-now': { says: /Date\.now is not in the world/ },
  'end-without-waiting': { says: /the daemon had ended, and said:/ },
  'ipmi-flags-run-out': { says: /counts as begun, but its BMC started it from the disk/ },
  'ipmi-valid-bit-ignored': { says: /counts as begun, but its BMC started it from the disk/ },
  'leases-forgotten': { says: /two living hosts use one address/ },
  'lost-update': { says: /was granted to claim|two contents under version/ },
  'no-macs-is-a-yes': { says: /is known by \S+, which was never in it/ },
  'old-boot-ticket-accepted': { says: /is over and was taken/ },
  'password-in-the-log': { says: /a secret stands in the log/ },
  'permission-not-recorded': { says: /the permission of job \S+ is not on record/ },
  'provisioned-is-parked': { says: /was switched off by nobody's order/ },
  'refused-password-again': { says: /was asked again after \d+ ms with the password that it had refused/ },
  'release-without-clean': { says: /is available, but its disk is not clean/ },
  'reload-forgets-leases': { says: /two living hosts use one address/ },
  'selector-not-atomic': { says: /was given to claim \S+, which asked for pool default/ },
  'silent-agent-is-awaited': { says: /never at rest/ },
  'stale-job-may-write': { says: /the permission of job \S+ is not on record|the law of the disk/ },
  'stale-phone-home': { says: /a phone-home of an old generation was believed/ },
  'user-data-in-the-timeline': { says: /a secret is shown/ },
  'uuid-is-believed': { says: /is known by \S+, which was never in it/ },
};

/** The simulation in a copy of the tree, with a patch or without. */
const simulate = async (patch: string | undefined, words: readonly string[]): Promise<SimEnd> => {
  const folder = mkdtempSync(join(tmpdir(), 'remuda-bug-'));
  try {
    for (const part of ['src', 'test/sim', 'test/world', 'test/image', 'package.json', 'tsconfig.json'])
      cpSync(join(root, part), join(folder, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    // Without fuzz: a patch that fits no more is a planted bug no more.
    if (patch !== undefined) execFileSync('git', ['apply', join(root, 'test/sim/bugs', patch)], { cwd: folder });
    return await simEnd(words, join(folder, 'test/sim/run.ts'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test('every patch has its words, and every word its patch', () => {
  const patches = readdirSync(join(root, 'test/sim/bugs')).toSorted();
  assert.deepEqual(
    patches,
    Object.keys(bugs).map((name) => `${name}.patch`),
  );
});

test('without a bug a day passes there; day.test.ts has the others', async () => {
  const { ok, said } = await simulate(undefined, ['--seed', '1', '--runs', '1']);
  assert.ok(ok, said);
});

for (const [name, { says, words = days }] of Object.entries(bugs))
  test(`caught: ${name}`, async () => {
    const { ok, said } = await simulate(`${name}.patch`, words);
    assert.ok(!ok, 'the simulation did not see it');
    assert.match(said, says);
    assert.match(said, /npm run sim -- --seed \d+ --trace/);
  });
