/** The appliance as it is installed: laid out by deploy/package.sh, started as the unit starts it, and the recipes judged by their own tools. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePlace, root, run } from './place.ts';

const folder = mkdtempSync(join(tmpdir(), 'package-'));
const appliance = join(folder, 'remuda');
const remuda = join(appliance, 'bin/remuda');
// Root alone may enter a folder of mkdtemp; the daemon runs as nobody's user.
chmodSync(folder, 0o755);
before(() => run('sh', join(root, 'deploy/package.sh'), '--kernel', 'cloud', appliance));
after(() => rmSync(folder, { recursive: true }));

test('the package runs from anywhere by its own Node, and holds all that hosts boot', () => {
  const moved = join(folder, 'link');
  run('ln', '-s', remuda, moved);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.match(run('env', '-i', 'PATH=/usr/bin:/bin', moved, 'version'), new RegExp(version.replaceAll('.', '\\.')));
  for (const file of [
    'agent/vmlinuz',
    'agent/initrd.zst',
    'agent/ramdisk.json',
    'firmware/undionly.kpxe',
    'firmware/snponly.efi',
    'remuda.yaml',
  ])
    assert.ok(readFileSync(join(appliance, 'share', file)).length > 0, file);
  assert.throws(() => readFileSync(join(appliance, 'app/node_modules/typescript/package.json')), /ENOENT/);
});

test('a directory that is there is not touched', () => {
  assert.throws(() => run('sh', join(root, 'deploy/package.sh'), appliance), /is there already/);
});

const unit = readFileSync(join(root, 'deploy/systemd/remuda.service'), 'utf8');
const setting = (name: string): string => {
  const found = new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];
  assert.ok(found !== undefined, `the unit says ${name}`);
  return found;
};

test('systemd takes the unit, and finds little that it may do', () => {
  const here = join(folder, 'remuda.service');
  run('sh', '-c', `sed 's#/opt/remuda#${appliance}#g' ${join(root, 'deploy/systemd/remuda.service')} >${here}`);
  run('systemd-analyze', 'verify', '--man=no', here);
  const [, level] = /exposure level for remuda\.service: ([\d.]+)/.exec(run('systemd-analyze', 'security', '--offline=yes', here)) ?? [];
  assert.ok(Number(level) < 2.5, `exposure ${level}`);
});

test('the capabilities of the unit are enough: a user without any other serves every port, and ends in good order', async () => {
  using place = makePlace('package-daemon');
  const user = 61_234;
  for (const name of ['data', 'run']) {
    mkdirSync(join(place.folder, name));
    chownSync(join(place.folder, name), user, user);
  }
  chmodSync(place.folder, 0o755);
  const config = place.config({ data: join(place.folder, 'data'), run: join(place.folder, 'run'), share: join(appliance, 'share') });
  const wanted = setting('CapabilityBoundingSet')
    .split(' ')
    .map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)
    .join(',');
  const privileges = [
    '--reuid',
    `${user}`,
    '--regid',
    `${user}`,
    '--clear-groups',
    '--no-new-privs',
    '--inh-caps',
    `-all,${wanted}`,
    '--ambient-caps',
    `-all,${wanted}`,
    '--bounding-set',
    `-all,${wanted}`,
  ];
  const daemon = spawn('ip', ['netns', 'exec', place.namespace, 'setpriv', ...privileges, remuda, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(daemon, 'exit');
  let said = '';
  for (const stream of [daemon.stdout, daemon.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
  try {
    const status = await statusOf(join(place.folder, 'run/remuda.sock'), () => said);
    assert.deepEqual(
      status.listeners.filter(({ bound }) => !bound),
      [],
    );
    assert.deepEqual(new Set(status.listeners.map(({ name }) => name)), new Set(['dhcp', 'tftp', 'boot', 'agent', 'admin']));
  } finally {
    daemon.kill('SIGTERM');
  }
  assert.deepEqual(await ended, [0, null], said);
});

interface Status {
  readonly listeners: readonly { readonly name: string; readonly bound: boolean }[];
}
/** Asked until the daemon answers, 30 seconds at most. */
const statusOf = async (socket: string, said: () => string): Promise<Status> => {
  for (let left = 60; left > 0; left -= 1)
    try {
      return JSON.parse(run(remuda, 'status', '--json', '--socket', socket)) as Status;
    } catch {
      await sleep(500);
    }
  throw new Error(`the daemon did not answer; it said: ${said()}`);
};

test('docker-compose takes the compose file: the host network, two capabilities, nothing written but its volumes', () => {
  const shown = run('docker-compose', '-f', join(root, 'docker-compose.yml'), 'config');
  for (const line of [/network_mode: host/, /read_only: true/, /cap_drop:\s+- ALL/, /cap_add:\s+- NET_BIND_SERVICE\s+- NET_RAW\s/])
    assert.match(shown, line);
});

test('vagrant takes the Vagrantfile: one appliance, two servers', () => {
  const home = mkdtempSync(join(tmpdir(), 'vagrant-'));
  try {
    const vagrant = (...args: readonly string[]): string =>
      run(
        'env',
        `HOME=${home}`,
        `VAGRANT_HOME=${home}`,
        `VAGRANT_DOTFILE_PATH=${home}/.vagrant`,
        'VAGRANT_CHECKPOINT_DISABLE=1',
        `VAGRANT_CWD=${join(root, 'deploy/vagrant')}`,
        'vagrant',
        ...args,
      );
    assert.match(vagrant('validate'), /validated successfully/);
  } finally {
    rmSync(home, { recursive: true });
  }
  const text = readFileSync(join(root, 'deploy/vagrant/Vagrantfile'), 'utf8');
  assert.match(text, /define "appliance"/);
  assert.match(text, /\(1\.\.2\)\.each/);
  run('sh', '-n', join(root, 'deploy/vagrant/appliance.sh'));
});
