/** Four hosts at once: Redfish and IPMI, BIOS and UEFI, tiny and debian, on two subnets with one behind a DHCP relay. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { z } from 'zod';
import { images, sha256 } from './crew.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Building debian comes on top, where nobody has built it. */
const settled = { timeout: 40 * 60_000 };
const last = z.object({
  hosts: z.array(
    z.object({
      name: z.string(),
      bmc: z.string(),
      firmware: z.string(),
      address: z.string(),
      state: z.string(),
      imageDigest: z.string(),
      hostname: z.string(),
      userDataRead: z.boolean(),
    }),
  ),
});

const lab = (...args: readonly string[]): Promise<{ readonly out: string; readonly err: string; readonly code: number }> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [main, 'lab', ...args], { maxBuffer: 16 * 1024 * 1024 }, (_, out, err) =>
      resolve({ out, err, code: child.exitCode ?? -1 }),
    );
  });

test('each of the four becomes its image, whatever it is and wherever it stands', settled, async () => {
  const digests = { tiny: `sha256:${await sha256(images.tiny())}`, debian: `sha256:${await sha256(images.debian())}` };
  const asked = '--name test-four --once --json --hosts 4 --bmc mixed --firmware mixed --image mixed --subnets 2';
  const { out, err, code } = await lab(...asked.split(' '));
  assert.equal(code, 0, `${err}\n${out}`);
  const { hosts } = last.parse(JSON.parse(out.trim().split('\n').at(-1) ?? ''));
  const subnetOf = (address: string): string => address.split('.').slice(0, 3).join('.');
  assert.deepEqual(
    hosts.map((host) => [
      host.name,
      host.bmc,
      host.firmware,
      subnetOf(host.address),
      host.state,
      host.imageDigest,
      host.hostname,
      host.userDataRead,
    ]),
    [
      ['h1', 'redfish', 'bios', '10.77.0', 'provisioned', digests.tiny, 'h1-lab', true],
      ['h2', 'ipmi', 'uefi', '10.77.0', 'provisioned', digests.debian, 'h2-lab', true],
      ['h3', 'redfish', 'uefi', '10.77.1', 'provisioned', digests.tiny, 'h3-lab', true],
      ['h4', 'ipmi', 'bios', '10.77.1', 'provisioned', digests.debian, 'h4-lab', true],
    ],
  );
});
