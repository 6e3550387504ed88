/** The boot script: its text word for word, and that no name that may stand in it can say anything to iPXE. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bootScript } from '../../src/boot/script.ts';
import type { ScriptParts } from '../../src/boot/script.ts';
import { mintTicket } from '../../src/boot/ticket.ts';
import { configSchema } from '../../src/config/config.ts';
import { enrolSchema } from '../../src/control/rack.ts';
import { ipv4From } from '../../src/wire/address.ts';

const parts: ScriptParts = {
  hostName: 'rack1-h07',
  boot: 12,
  ticket: 'hbcd.12.3.2uw3le.mjuo.AAAAAAAAAAAAAAAAAAAAAA',
  httpBase: 'http://10.77.0.1:7480',
  agentBase: 'https://10.77.0.1:7443',
  fingerprint: 'f'.repeat(64),
  kernel: 'a'.repeat(64),
  initrd: 'b'.repeat(64),
  extraArguments: 'debug=1',
};

test('the script, word for word', () => {
  assert.equal(
    bootScript(parts),
    `#!ipxe
echo Remuda: rack1-h07, boot 12
set tries:int32 0
:load
kernel http://10.77.0.1:7480/files/${'a'.repeat(64)}/vmlinuz initrd=initrd.zst remuda.server=https://10.77.0.1:7443 remuda.cert=${'f'.repeat(64)} remuda.ticket=hbcd.12.3.2uw3le.mjuo.AAAAAAAAAAAAAAAAAAAAAA BOOTIF=01-\${netX/mac:hexhyp} console=tty0 console=ttyS0,115200 debug=1 || goto again
initrd --name initrd.zst http://10.77.0.1:7480/files/${'b'.repeat(64)}/initrd.zst || goto again
boot || goto failed
:again
inc tries
iseq \${tries} 10 && goto failed ||
echo Remuda: the kernel or the ramdisk did not load; once more in 3 s
imgfree
sleep 3
goto load
:failed
echo Remuda: the kernel or the ramdisk did not load; booting on in 10 s
sleep 10
exit 1
`,
  );
});
test('without extra arguments no space is left before the end of the command line', () => {
  assert.match(bootScript({ ...parts, extraArguments: '' }), /console=ttyS0,115200 \|\| goto again\n/);
});

/** What iPXE reads as more than text: a new line, its settings, its operators, its quotes, its comments. */
const tricks = ['\n', '\r', '${', '`', '&&', '||', ';', '"', "'", '#', '\\', ' ', '\0', 'é'];
test('a name that could say anything to iPXE does not come in', () => {
  for (const trick of tricks)
    for (const name of [`h${trick}1`, `${trick}h1`, `h1${trick}`])
      assert.ok(!enrolSchema.safeParse({ name, macs: ['52:54:00:00:00:01'] }).success, JSON.stringify(name));
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 70 }), (name) => {
      if (!enrolSchema.safeParse({ name }).success) return;
      assert.match(name, /^[a-z0-9.-]+$/);
    }),
  );
});
test('nor do kernel arguments of the configuration that end the command', () => {
  const config = (kernelArguments: string): boolean =>
    configSchema.safeParse({
      boot: { agent: '/a', firmware: '/f', kernelArguments },
      subnets: [{ interface: 'br0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1', pool: { from: '10.77.0.50', to: '10.77.0.60' } }],
    }).success;
  assert.ok(config('console=ttyS1,115200 quiet'));
  for (const trick of tricks.filter((one) => one !== ' ')) assert.ok(!config(`quiet ${trick} x`), JSON.stringify(trick));
});
test('whatever may come in, the script has its lines and one kernel', () => {
  const names = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
  const hosts = fc.stringMatching(/^h[a-z0-9]{1,20}$/);
  fc.assert(
    fc.property(names, hosts, fc.nat(), fc.nat(), (hostName, hostId, boot, generation) => {
      assert.ok(enrolSchema.safeParse({ name: hostName }).success);
      const ticket = mintTicket(Buffer.alloc(32, 1), { hostId, boot, generation, address: ipv4From(1), expiresAt: 1 });
      const lines = bootScript({ ...parts, hostName, boot, ticket }).split('\n');
      assert.deepEqual(
        lines.map((line) => line.split(' ')[0]),
        '#!ipxe echo set :load kernel initrd boot :again inc iseq echo imgfree sleep goto :failed echo sleep exit '.split(' '),
      );
      assert.equal(lines[1], `echo Remuda: ${hostName}, boot ${boot}`);
    }),
  );
});
