/** The container image: the Dockerfile built by buildah on bases made of Debian packages, and the daemon started in it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePlace, root, run } from './place.ts';

const cache = process.env['REMUDA_CACHE'] ?? join(homedir(), '.cache/remuda');
const storage = join(cache, 'containers');
const buildah = (...args: readonly string[]): string =>
  run('buildah', '--storage-driver', 'vfs', '--root', storage, '--runroot', join(storage, 'run'), ...args);

/** The mirror of Debian that this system has configured, and its release. */
const [release, mirror] = run(
  'sh',
  '-c',
  `r=$(. /etc/os-release && echo "$VERSION_CODENAME"); sh ${root}/deploy/mirrors.sh | awk -v r="$r" '$1 == r { print; exit }'`,
)
  .trim()
  .split(' ');
const packages = {
  base: ['ca-certificates', 'libatomic1'],
  build: ['ca-certificates', 'libatomic1', 'npm', 'busybox-static', 'kmod', 'cpio', 'zstd', 'curl', 'unzip'],
};
/** A base image, made once for its package list. */
const baseImage = (kind: keyof typeof packages): string => {
  const list = packages[kind].join(',');
  const key = createHash('sha256').update(`${release} ${list}`).digest('hex').slice(0, 16);
  const name = `localhost/remuda-${kind}:${key}`;
  if (buildah('images', '--format', '{{.Name}}:{{.Tag}}').split('\n').includes(name)) return name;
  const folder = join(cache, 'base');
  const tar = join(folder, `${key}.tar`);
  if (!existsSync(tar)) {
    mkdirSync(folder, { recursive: true });
    run(
      'mmdebstrap',
      '--mode=root',
      '--variant=minbase',
      `--include=${list}`,
      release ?? '',
      `${tar}.new.tar`,
      `deb ${mirror} ${release} main`,
    );
    renameSync(`${tar}.new.tar`, tar);
  }
  const container = buildah('from', 'scratch').trim();
  buildah('add', '-q', container, tar, '/');
  buildah('commit', '-q', '--rm', container, name);
  return name;
};

const image = `localhost/remuda:test-${process.pid}`;
let container = '';
before(() => {
  mkdirSync(storage, { recursive: true });
  // What a test that was killed left there.
  for (const old of buildah('containers', '-q').split('\n').filter(Boolean)) buildah('rm', old);
  for (const old of buildah('images', '--format', '{{.Name}}:{{.Tag}}').split('\n'))
    if (old.startsWith('localhost/remuda:test-')) buildah('rmi', '-f', old);
  const args = [`BASE=${baseImage('base')}`, `BUILD_BASE=${baseImage('build')}`, 'KERNEL=cloud'].flatMap((arg) => ['--build-arg', arg]);
  // Our cache, and the certificates that this machine believes, as the build would otherwise need what the machine has no way to give.
  const volumes = ['-v', `${cache}:/root/.cache/remuda`, '-v', '/etc/ssl/certs:/etc/ssl/certs:ro'];
  buildah('bud', '--quiet', '--isolation', 'chroot', ...args, ...volumes, '-t', image, root);
  container = buildah('from', image).trim();
});
after(() => {
  if (container !== '') buildah('rm', container);
  buildah('rmi', '-f', image);
  // Layers without a name.
  buildah('rmi', '--prune');
});

test('the image starts the daemon with its default command, and it answers', async () => {
  using place = makePlace('container');
  for (const name of ['data', 'run']) mkdirSync(join(place.folder, name));
  // Not at the image's own volume: buildah puts one of its own there, in no certain order with ours.
  place.config({ data: '/data', run: '/run/remuda', share: '/opt/remuda/share' });
  const config = JSON.parse(buildah('inspect', '--type', 'image', image)) as {
    OCIv1: { config: { Entrypoint: string[]; Cmd: string[]; StopSignal: string; Volumes: Record<string, unknown> } };
  };
  const { Entrypoint, Cmd, StopSignal, Volumes } = config.OCIv1.config;
  assert.equal(StopSignal, 'SIGTERM');
  assert.deepEqual(Object.keys(Volumes), ['/var/lib/remuda']);
  const volumes = [
    [place.folder, '/etc/remuda'],
    [join(place.folder, 'data'), '/data'],
    [join(place.folder, 'run'), '/run/remuda'],
  ].flatMap(([from, to]) => ['-v', `${from}:${to}`]);
  const inside = [
    '--storage-driver',
    'vfs',
    '--root',
    storage,
    '--runroot',
    join(storage, 'run'),
    'run',
    '--isolation',
    'chroot',
    ...volumes,
    container,
    '--',
  ];
  const daemon = spawn('ip', ['netns', 'exec', place.namespace, 'buildah', ...inside, ...Entrypoint, ...Cmd], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(daemon, 'exit');
  let said = '';
  for (const stream of [daemon.stdout, daemon.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
  try {
    let status: { listeners: readonly { bound: boolean }[] } | undefined;
    for (let left = 60; left > 0 && status === undefined; left -= 1)
      try {
        // The health check of the image, but for its words.
        status = JSON.parse(
          buildah('run', '--isolation', 'chroot', ...volumes, container, '--', 'remuda', 'status', '--json'),
        ) as typeof status;
      } catch {
        await sleep(500);
      }
    assert.ok(status !== undefined && status.listeners.length >= 5, said);
    assert.ok(status.listeners.every(({ bound }) => bound));
    assert.ok(readdirSync(join(place.folder, 'data')).includes('remuda.db'), 'what must be kept is in the volume');
  } finally {
    // buildah does not pass the signal on to what it runs; the daemon is the one whose root is the container's.
    for (const pid of daemonsIn(place.namespace)) process.kill(pid, 'SIGTERM');
  }
  assert.deepEqual(await ended, [0, null], said);
});

/** Processes of the namespace that run the daemon. */
const daemonsIn = (namespace: string): readonly number[] =>
  run('ip', 'netns', 'pids', namespace)
    .split('\n')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => /main\.ts\0serve/.test(commandOf(pid)));
/** Empty for a process that ended meanwhile: buildah has some that live for a moment. */
const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
};
