/** Runs inside a rack's namespace: turns a host on, prints the process of its QEMU, and dies without a word. `inside-crash.ts RACK FOLDER` */
import { writeSync } from 'node:fs';
import { startRack } from '../../src/lab/rack.ts';
import { realLabWorld } from '../../src/world/real-lab.ts';

const [name = '', folder = ''] = process.argv.slice(2);
const lab = realLabWorld({ signal: new AbortController().signal, log: { level: 'warn' } });
const rack = await startRack(lab, { name, hosts: 1, firmware: 'bios', folder, memoryMiB: 128, diskMiB: 1 });
await rack.hosts[0]?.machine.turnOn(undefined);
writeSync(1, `${rack.hosts[0]?.machine.pid}\n`);
process.kill(process.pid, 'SIGKILL');
