/** The foreign judges of Redfish and IPMI, from PyPI, in a Python environment of their own that is made once and kept. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const requirements = ['redfishtool==1.1.8', 'sushy==5.14.0', 'sushy-tools==2.2.0', 'redfish-protocol-validator==1.3.2', 'pyghmi==1.6.19'];
const installMs = 300_000;

/** The folder of its programs. */
export const pythonPrograms = async (): Promise<string> => {
  const hash = createHash('sha256').update(requirements.join('\n')).digest('hex').slice(0, 12);
  const folder = join(homedir(), '.cache', 'remuda', 'venv', hash);
  const programs = join(folder, 'bin');
  const ready = join(folder, 'ready');
  if (existsSync(ready)) return programs;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await run('python3', ['-m', 'venv', folder], { timeout: installMs });
  await run(join(programs, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements], { timeout: installMs });
  writeFileSync(ready, requirements.join('\n'));
  return programs;
};
