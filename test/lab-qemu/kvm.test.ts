/** Whether KVM runs guests is asked of a guest, once per boot of this machine. Needs QEMU. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { guestRuns, probeKvm } from '../../src/lab/kvm.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'remuda-kvm-'));
const stop = new AbortController();
const lab = realLabWorld({ signal: stop.signal, log: { level: 'silent' } });
after(() => {
  stop.abort(new Error('the end'));
  rmSync(folder, { recursive: true });
});
const file = join(folder, 'kvm.json');
const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

test('a guest that runs is seen to run', async () => assert.equal(await guestRuns(lab, 'tcg', folder), true));

test('no QEMU, no guest', async () => {
  const none = realLabWorld({ signal: stop.signal, log: { level: 'silent' }, env: { PATH: '/nowhere' } });
  assert.equal(await guestRuns(none, 'tcg', folder), false);
});

test('the answer of this boot is kept, one of another boot is not believed', async () => {
  for (const works of [true, false]) {
    writeFileSync(file, JSON.stringify({ bootId, works }));
    assert.equal(await probeKvm(lab, folder), works);
  }
  const asked = await guestRuns(lab, 'kvm', folder);
  writeFileSync(file, JSON.stringify({ bootId: 'another', works: !asked }));
  assert.equal(await probeKvm(lab, folder), asked);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { bootId, works: asked });
  assert.deepEqual(readdirSync(folder), ['kvm.json']);
});
