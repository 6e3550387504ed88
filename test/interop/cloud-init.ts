/** cloud-init as Debian ships it, unpacked and not installed, with its Python packages in an environment of their own; made once and kept. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const requirements = [
  'PyYAML==6.0.3',
  'jsonschema==4.25.1',
  'configobj==5.0.9',
  'Jinja2==3.1.6',
  'jsonpatch==1.33',
  'requests==2.32.5',
  'oauthlib==3.3.1',
];
const installMs = 300_000;
const runMs = 60_000;
const cache = process.env['REMUDA_CACHE'] ?? join(homedir(), '.cache', 'remuda');

/** The package that the `debian` image is made of where that was built here, else the one of this machine's own Debian. */
const packageIn = async (folder: string): Promise<string> => {
  const [kept] = globSync(join(cache, 'debs', '*', 'cloud-init_*.deb'));
  if (kept !== undefined) return kept;
  await run('apt-get', ['download', 'cloud-init'], { cwd: folder, timeout: installMs });
  const [fetched] = globSync(join(folder, 'cloud-init_*.deb'));
  if (fetched === undefined) throw new RangeError('apt-get download cloud-init fetched nothing');
  return fetched;
};

const make = async (folder: string): Promise<void> => {
  mkdirSync(cache, { recursive: true });
  // Made aside and moved into place whole: whoever finds it may use it.
  const aside = mkdtempSync(`${folder}.`);
  await run('dpkg', ['-x', await packageIn(aside), join(aside, 'root')], { timeout: runMs });
  await run('python3', ['-m', 'venv', join(aside, 'venv')], { timeout: installMs });
  await run(join(aside, 'venv', 'bin', 'python3'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements], {
    timeout: installMs,
  });
  try {
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
};

/** Runs `cloud-init ARGS` to its good end; returns what it said on both streams. */
export const cloudInit = async (...args: readonly string[]): Promise<string> => {
  const folder = join(cache, `cloud-init-${createHash('sha256').update(requirements.join('\n')).digest('hex').slice(0, 12)}`);
  if (!existsSync(folder)) await make(folder);
  const { stdout, stderr } = await run(join(folder, 'venv', 'bin', 'python3'), ['-m', 'cloudinit.cmd.main', ...args], {
    timeout: runMs,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      PYTHONPATH: join(folder, 'root', 'usr', 'lib', 'python3', 'dist-packages'),
      HOME: folder,
    },
  });
  return stdout + stderr;
};

/** What cloud-init makes of a network configuration, by the path of the file, for one of its renderers. */
export const converted = async (text: string, renderer: 'netplan' | 'eni' | 'networkd'): Promise<ReadonlyMap<string, string>> => {
  const folder = mkdtempSync(join(cache, 'net-convert.'));
  try {
    const file = join(folder, 'network-config');
    writeFileSync(file, text);
    const out = join(folder, 'out');
    await cloudInit('devel', 'net-convert', '-p', file, '-k', 'yaml', '-d', out, '-D', 'debian', '-O', renderer);
    const names = globSync('**/*', { cwd: out, withFileTypes: true }).filter((entry) => entry.isFile());
    return new Map(
      names.map((entry) => [
        join(entry.parentPath, entry.name).slice(out.length),
        readFileSync(join(entry.parentPath, entry.name), 'utf8'),
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
