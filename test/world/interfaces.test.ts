/** Addresses and sockets of an interface whose cable is pulled: they stay, and it is said why nothing comes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { localAddresses } from '../../src/world/interfaces.ts';
import { isolated } from './isolated.ts';

test('loopback is there, up, with its prefix', () => {
  assert.deepEqual(
    localAddresses().find((one) => one.address === '127.0.0.1'),
    { interface: 'lo', address: '127.0.0.1', prefix: 8 },
  );
});
test('a pulled cable closes nothing; an interface that is gone does, also where another has its name', () => {
  const [command, ...args] = isolated('net', [process.execPath, fileURLToPath(new URL('pulled-cable.ts', import.meta.url))]);
  const told: unknown = JSON.parse(execFileSync(command, args, { encoding: 'utf8', timeout: 60_000 }));
  const address = { interface: 'rack0', address: '10.77.0.1', prefix: 24 };
  const open = { udp: true, tcp: true, untied: true };
  assert.deepEqual(told, [
    { what: 'both ends up', ...open, address },
    { what: 'the other end down', ...open, address: { ...address, link: 'no carrier' } },
    { what: 'switched off', ...open, address: { ...address, link: 'down' } },
    { what: 'back', ...open, address },
    { what: 'without its address', ...open },
    { what: 'another of the same name', udp: false, tcp: false, untied: true, address: { ...address, link: 'down' } },
    { what: 'closed', udp: false, tcp: false, untied: false, address: { ...address, link: 'down' } },
  ]);
});
