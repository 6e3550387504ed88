/** A virtual server with an installed debian image on its disk: QEMU alone, its network made by QEMU itself, so that nothing of the machine is touched. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { layoutOf } from '../../src/image/gpt.ts';
import { seedFiles, seedImage } from '../../src/image/seed.ts';
import type { SeedOptions } from '../../src/image/seed.ts';
import { limits } from '../../src/limits.ts';

const run = promisify(execFile);
const diskBytes = 2 * 1024 ** 3;
/** Where a guest of QEMU's own network finds the machine that QEMU runs on. */
const outside = '10.0.2.2';

export interface Installed {
  readonly folder: string;
  readonly disk: string;
  readonly seed: { readonly offsetBytes: number; readonly sizeBytes: number };
}
/** The image on a disk of its own, as the agent leaves it, with this seed. */
export const install = (image: string, folder: string, options: SeedOptions): Installed => {
  const own = mkdtempSync(join(folder, 'host-'));
  const disk = join(own, 'disk.raw');
  copyFileSync(image, disk);
  truncateSync(disk, diskBytes);
  const file = openSync(disk, 'r+');
  try {
    const head = Buffer.alloc(1024 * 1024);
    readSync(file, head, 0, head.length, 0);
    const { seed } = layoutOf(head, limits.seedBytesMax);
    if (seed === null) throw new Error('the image has no place for a seed');
    const bytes = seedImage(seedFiles(options), seed.sizeBytes);
    writeSync(file, bytes, 0, bytes.length, seed.offsetBytes);
    return { folder: own, disk, seed };
  } finally {
    closeSync(file);
  }
};

/** Listens for phones; `said` is the next form that comes. */
export const home = async () => {
  const forms: URLSearchParams[] = [];
  const waiting: ((form: URLSearchParams) => void)[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      response.end();
      const form = new URLSearchParams(body);
      forms.push(form);
      waiting.shift()?.(form);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://${outside}:${address.port}/phone-home/abc`,
    forms,
    said: () => new Promise<URLSearchParams>((resolve) => waiting.push(resolve)),
    close: () => server.close(),
  };
};

/** A free port of the loopback. */
const freePort = async (): Promise<number> => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

const flash = (folder: string): readonly string[] => {
  const variables = join(folder, 'vars.fd');
  copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', variables);
  const drive = (unit: number, rest: string) => ['-drive', `if=pflash,unit=${unit},format=raw,${rest}`];
  return [...drive(0, 'readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd'), ...drive(1, `file=${variables}`)];
};

const qemuArguments = ({ folder, disk }: Installed, firmware: 'bios' | 'uefi', sshPort: number): readonly string[] =>
  [
    ['-machine', firmware === 'bios' ? 'pc' : 'q35', '-accel', 'tcg,thread=multi,tb-size=768', '-cpu', 'max,la57=off,avx2=off,avx=off'],
    ['-m', '768', '-smp', '1', '-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none', '-no-reboot'],
    firmware === 'bios' ? [] : flash(folder),
    ['-drive', `if=none,id=d,format=raw,cache=unsafe,discard=unmap,file=${disk}`, '-device', 'virtio-blk-pci,drive=d,bootindex=1'],
    ['-netdev', `user,id=n,ipv6=off,hostfwd=tcp:127.0.0.1:${sshPort}-:22`],
    ['-device', 'virtio-net-pci,netdev=n,mac=52:54:00:0d:eb:01,romfile=', '-device', 'virtio-rng-pci'],
    ['-serial', `file:${join(folder, 'serial.log')}`, '-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
  ].flat();

/**
 * Starts QEMU. Without KVM a start now and then never comes to the UEFI firmware's first line; the cause was not found. What is silent for a
 * minute is started again, so that the test judges the image and not the emulator.
 */
const start = async (installed: Installed, firmware: 'bios' | 'uefi', port: number): Promise<ChildProcess> => {
  const log = join(installed.folder, 'serial.log');
  for (let tries = 1; ; tries++) {
    const qemu = spawn('qemu-system-x86_64', qemuArguments(installed, firmware, port), { stdio: ['ignore', 'inherit', 'inherit'] });
    // SeaBIOS and GRUB say nothing on the serial line.
    if (firmware === 'bios' || tries === 3) return qemu;
    for (let second = 0; second < 60; second++) {
      await sleep(1_000);
      if (existsSync(log) && statSync(log).size > 0) return qemu;
    }
    const ended = once(qemu, 'exit');
    qemu.kill('SIGKILL');
    await ended;
  }
};

/** Switches it on. */
export const boot = async (installed: Installed, firmware: 'bios' | 'uefi') => {
  const port = await freePort();
  const qemu = await start(installed, firmware, port);
  const ended = once(qemu, 'exit');
  const known = ['-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${join(installed.folder, 'known')}`];
  const alone = ['-F', '/dev/null', '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none', '-o', 'BatchMode=yes'];
  /** Runs a command as the user, with the key in this file; rejects with what ssh said. */
  const ssh = async (key: string, command: string): Promise<string> => {
    const where = ['-p', String(port), '-o', 'ConnectTimeout=60', 'debian@127.0.0.1'];
    const { stdout } = await run('ssh', ['-q', '-i', key, ...alone, ...known, ...where, command], { timeout: 120_000 });
    return stdout;
  };
  return {
    kill: () => qemu.kill('SIGKILL'),
    ssh,
    /** The same where sshd may not run yet; nobody tells when it does. */
    sshWhenUp: async (key: string, command: string): Promise<string> => {
      for (let tries = 1; ; tries++) {
        try {
          await ssh(key, 'true');
          return await ssh(key, command);
        } catch (error) {
          if (tries === 30) throw error;
          await sleep(2_000);
        }
      }
    },
    /** Presses the power button and waits until the system has switched the machine off. */
    pressButton: async (): Promise<void> => {
      const monitor = connect(join(installed.folder, 'qmp'));
      monitor.write('{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}');
      await ended;
      monitor.destroy();
    },
  };
};
