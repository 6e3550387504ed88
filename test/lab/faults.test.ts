/** What breaks on real firmware: a damaged chunk, an agent that dies half-way, a machine nobody knows. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { images, Lab } from './crew.ts';

const settled = { timeout: 8 * 60_000 };
let lab: Lab;
let tiny: string;
before(async () => {
  tiny = images.tiny();
  lab = await Lab.up({
    name: 'test-faults',
    firmware: ['bios'],
    limits: { agentAliveMs: 12_000, jobSilenceMs: 15_000, agentPollMs: 3000, retryFirstMs: 500 },
  });
  await lab.crew.admin.importImage(tiny, 'tiny');
}, settled);
after(async () => lab?.down(), settled);

/** The largest chunk's file: flipping a byte of it damages that chunk and nothing else. */
const chunkFile = (): string => {
  const folder = `${lab.place.folder}/data/images/chunks`;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bySize = files
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .toSorted((a, b) => readFileSync(b).length - readFileSync(a).length);
  assert.ok(bySize[0] !== undefined);
  return bySize[0];
};

test('a flipped byte in a chunk: refused before it is written, said in the timeline, and mended by importing again', settled, async () => {
  await lab.enrol();
  await lab.until('h1', 'inspected', ({ state }) => state === 'available');
  const path = chunkFile();
  const bytes = readFileSync(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await lab.crew.admin.claim({ id: 'c1', host: 'h1', image: 'tiny', disk: { serial: 'REMUDA-h1-d0' } });
  const failed = await lab.until('h1', 'failed', (host) => host.failed !== null);
  assert.equal(failed.failed?.code, 'chunk-corrupt');
  assert.match(failed.failed?.reason ?? '', /[0-9a-f]{16}/);
  assert.ok((await lab.timeline('h1')).some(({ text }) => /install failed:.*chunk/i.test(text)));
  assert.equal(failed.facts.phonedHome, null);
  await lab.crew.admin.importImage(tiny, 'tiny');
  await lab.crew.admin.post('/v1/hosts/h1/retry', {});
  await lab.until('h1', 'phoned home', ({ facts }) => facts.phonedHome !== null);
});

test('an agent that dies half-way: the boot is given up with its reason and tried again, and the host arrives', settled, async () => {
  const { installCount } = (await lab.host('h1')).facts;
  await lab.crew.admin.reprovision('c1', { image: 'tiny' });
  await lab.until('h1', 'writing', async (host) => host.job?.kind === 'install' && host.facts.installCount > installCount);
  // The plug is pulled: QEMU is gone in the middle of its write.
  const { pid } = JSON.parse(readFileSync(`${lab.place.folder}/h1/pid.json`, 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  const host = await lab.until('h1', 'phoned home', ({ facts }) => facts.phonedHome?.generation === 2);
  assert.ok(host.facts.installCount > installCount);
  assert.ok((await lab.timeline('h1')).some(({ text }) => /came to nothing.*(fell silent|power went off)/.test(text)));
});
