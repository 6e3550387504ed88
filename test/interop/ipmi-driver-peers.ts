/** Foreign IPMI BMCs on loopback: goipmi-server, built once and kept, and ipmi_sim of OpenIPMI; each a process that ends with its test. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const buildMs = 300_000;
const cache = process.env['REMUDA_CACHE'] ?? join(homedir(), '.cache', 'remuda');

/** ipmi_sim takes no password with a space. */
export const peerUser = { username: 'admin', password: 'secret-7' } as const;

export interface Peer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Bougou's reference BMC, in the version that was judged; built by Go from the module proxy. */
const goipmiVersion = 'v0.9.1';
const goipmiServer = async (): Promise<string> => {
  const folder = join(cache, 'goipmi', goipmiVersion);
  const program = join(folder, 'goipmi-server');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const own = join(cache, 'go', 'bin');
  const env = {
    ...process.env,
    PATH: `${existsSync(own) ? `${own}:` : ''}${process.env['PATH'] ?? ''}:/usr/local/go/bin`,
    GOBIN: folder,
    GOPATH: join(cache, 'gopath'),
    GOFLAGS: '-modcacherw',
  };
  await run('go', ['install', `github.com/bougou/go-ipmi/cmd/goipmi-server@${goipmiVersion}`], { timeout: buildMs, env });
  return program;
};

/** A UDP port of loopback that nobody has just now. */
const freePort = async (): Promise<number> => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => void socket.close(resolve));
  return port;
};
const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
};

/** Until it says so; throws what it said instead. */
const listening = async (child: ChildProcess): Promise<void> => {
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`goipmi-server ended with ${code}: ${said.join('')}`)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Uint8Array) => {
        said.push(Buffer.from(chunk).toString());
        if (said.join('').includes('listening on')) resolve();
      });
  });
};

/** With these cipher suites. */
export const startGoipmi = async (suites: readonly number[]): Promise<Peer> => {
  const program = await goipmiServer();
  const port = await freePort();
  const env = {
    PATH: process.env['PATH'],
    GOIPMI_SERVER_PORT: String(port),
    GOIPMI_SERVER_USER: peerUser.username,
    GOIPMI_SERVER_PASS: peerUser.password,
    GOIPMI_SERVER_CIPHER_SUITES: suites.join(','),
  };
  const child = spawn(program, { stdio: ['ignore', 'pipe', 'pipe'], env });
  await listening(child);
  return { url: `ipmi://127.0.0.1:${port}`, stop: () => ended(child) };
};

const ways = 'none md2 md5 straight';
const simConfig = (port: number, folder: string): string => `name "judge"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_callback ${ways}
    allowed_auths_user ${ways}
    allowed_auths_operator ${ways}
    allowed_auths_admin ${ways}
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "${folder}/chassis"
  user 1 true "" "nobody" user 10 ${ways}
  user 2 true "${peerUser.username}" "${peerUser.password}" admin 10 ${ways}
`;
const simCommands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`;
/** What ipmi_sim calls for power and boot: `get power`, `set boot pxe`; it keeps what was set. */
const simChassis = (folder: string): string => `#!/bin/sh
case "$1 $2" in
  "get power") echo "power:$(cat ${folder}/power 2>/dev/null || echo 0)" ;;
  "get boot") echo "boot:$(cat ${folder}/boot 2>/dev/null || echo none)" ;;
  "set power" | "set boot") echo "$3" >"${folder}/$2" ;;
esac
`;

/** OpenIPMI's simulator: suite 3 only. */
export const startIpmiSim = async (): Promise<Peer> => {
  const folder = mkdtempSync(join(tmpdir(), 'remuda-ipmi-sim-'));
  const port = await freePort();
  mkdirSync(join(folder, 'state'));
  writeFileSync(join(folder, 'lan.conf'), simConfig(port, folder));
  writeFileSync(join(folder, 'commands'), simCommands);
  writeFileSync(join(folder, 'chassis'), simChassis(folder), { mode: 0o755 });
  const args = ['-n', '-c', join(folder, 'lan.conf'), '-f', join(folder, 'commands'), '-s', join(folder, 'state')];
  // Nothing waits for it to listen: the driver sends again.
  const child = spawn('ipmi_sim', args, { stdio: 'ignore', env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
  await once(child, 'spawn');
  return {
    url: `ipmi://127.0.0.1:${port}`,
    stop: async () => {
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
