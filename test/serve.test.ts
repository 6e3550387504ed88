/** The daemon's doors for real: the socket, loopback with a token, TLS elsewhere, its first token, metrics, readiness, events over a wire. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readyJson, statusJson } from '../src/api/access-types.ts';
import { problemJson } from '../src/api/types.ts';
import { selfSigned } from '../src/world/certificate.ts';
import { gauges, tallies } from '../src/world/metrics.ts';
import { readExposition } from './world/exposition.ts';
import { isolated } from './world/isolated.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** Asks from inside the daemon's network: one request a line of input, one answer a line of output. */
const asker = `
import { request } from 'node:http';
import { request as secure } from 'node:https';
const { url, method = 'GET', headers = {}, body, forMs } = JSON.parse(process.argv[1]);
const ask = (url.startsWith('https') ? secure : request)(url, { method, headers, rejectUnauthorized: false }, (answer) => {
  let text = '';
  const fingerprint = answer.socket.getPeerCertificate?.()?.fingerprint256;
  const tell = () => {
    console.log(JSON.stringify({ status: answer.statusCode, headers: answer.headers, text, fingerprint }));
    process.exit(0);
  };
  if (forMs !== undefined) setTimeout(tell, forMs);
  answer.setEncoding('utf8').on('data', (part) => (text += part)).on('end', tell);
});
ask.on('error', (error) => { console.log(JSON.stringify({ status: 0, headers: {}, text: String(error.code) })); process.exit(0); });
ask.end(body);
`;
interface Ask {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly forMs?: number;
}
interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly fingerprint?: string;
}

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remuda-serve-'));
});
after(() => rm(folder, { recursive: true }));

const until = async (holds: () => boolean, what: () => string): Promise<void> => {
  for (const end = Date.now() + 30_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 20)))
    assert.ok(Date.now() < end, `not within 30 s: ${what()}`);
};

/** A daemon in a network of its own, with the API at these places; nothing in it could boot a server. */
class Served implements AsyncDisposable {
  readonly at: string;
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown>;
  out = '';
  err = '';
  exit: number | undefined;

  private constructor(at: string, child: ChildProcess) {
    this.at = at;
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.#ended = once(child, 'close').then(([code]) => (this.exit = Number(code)));
  }
  static async prepare(name: string, api: unknown): Promise<string> {
    const at = join(folder, name);
    await mkdir(at);
    const file = { sha256: 'ab'.repeat(32), sizeBytes: 4 };
    for (const part of ['vmlinuz', 'initrd.zst', 'undionly.kpxe', 'snponly.efi', 'autoexec.ipxe']) await writeFile(join(at, part), 'boot');
    await writeFile(join(at, 'ramdisk.json'), JSON.stringify({ vmlinuz: file, initrd: file }));
    const config = {
      data: join(at, 'data'),
      socket: join(at, 'r.sock'),
      boot: { agent: at, firmware: at },
      subnets: [{ interface: 'br0', cidr: '10.77.0.0/24', serverAddress: '10.77.0.1', pool: { from: '10.77.0.50', to: '10.77.0.99' } }],
      api,
    };
    await writeFile(join(at, 'remuda.yaml'), JSON.stringify(config));
    return at;
  }
  /** `link`: what `ip link add` makes of br0. */
  static start(at: string, link = 'type bridge'): Served {
    const net = `ip link set lo up && ip link add br0 ${link} && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up`;
    const serve = `exec '${process.execPath}' '${main}' serve --config '${at}/remuda.yaml'`;
    const [command, ...args] = isolated('net', ['bash', '-c', `${net} && ${serve}`]);
    return new Served(at, spawn(command, args, { timeout: 90_000 }));
  }
  /** Until all its doors are open. */
  async ready(doors: number): Promise<this> {
    await until(
      () => this.exit !== undefined || this.err.split('the API answers').length > doors,
      () => this.err,
    );
    assert.equal(this.exit, undefined, this.err);
    return this;
  }
  /** A command in the daemon's network. */
  async inside(...command: readonly string[]): Promise<string> {
    const inside = ['-t', String(this.child.pid), '-n', '-U', '--preserve-credentials'];
    const asRoot = process.getuid?.() === 0 ? ['-t', String(this.child.pid), '-n'] : inside;
    const child = spawn('nsenter', [...asRoot, ...command], { timeout: 30_000 });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (out += text));
    const [code] = await once(child, 'close');
    assert.equal(code, 0, out);
    return out;
  }
  async ask(wish: Ask): Promise<Answered> {
    return JSON.parse(await this.inside(process.execPath, '--input-type=module', '-e', asker, JSON.stringify(wish))) as Answered;
  }
  async ended(): Promise<number> {
    await this.#ended;
    return this.exit ?? -1;
  }
  async stop(): Promise<number> {
    this.child.kill('SIGTERM');
    return this.ended();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const tokenIn = (text: string): string => /remuda_[a-z0-9]{8}_[A-Za-z0-9_-]{43}/.exec(text)?.[0] ?? '';

describe('the doors of the API', () => {
  test('loopback and TLS ask for the token that the first start showed once, and everything is on record', async () => {
    const at = await Served.prepare('doors', {
      listen: [
        { address: '127.0.0.1', port: 7470 },
        { address: '10.77.0.1', port: 7471 },
        { address: '10.77.0.1', port: 7472, tls: { certificate: join(folder, 'doors', 'api.pem'), key: join(folder, 'doors', 'api.key') } },
      ],
    });
    // Ten years minus all but twenty days: a certificate that ends soon.
    const soon = await selfSigned('rack.example.com', Date.now() - 3632 * 24 * 3600_000);
    await writeFile(join(at, 'api.pem'), soon.certificate);
    await writeFile(join(at, 'api.key'), soon.key);
    await using served = await Served.start(at).ready(4);
    const token = tokenIn(served.out);
    assert.notEqual(token, '', served.out);
    assert.ok(!served.err.includes(token), 'the log does not have it');
    assert.ok(!(await readFile(join(at, 'data', 'remuda.db'), 'latin1')).includes(token), 'the store does not have it');

    const bare = await served.ask({ url: 'http://127.0.0.1:7470/v1/hosts' });
    assert.equal(bare.status, 401);
    assert.equal(problemJson.parse(JSON.parse(bare.text)).code, 'unauthenticated');
    assert.match(bare.headers['www-authenticate'] ?? '', /^Bearer/);
    assert.equal((await served.ask({ url: 'http://127.0.0.1:7470/v1/hosts', headers: bearer(token) })).status, 200);
    const secure = await served.ask({ url: 'https://10.77.0.1:7471/v1/status', headers: bearer(token) });
    assert.equal(secure.status, 200);
    const pinned = (secure.fingerprint ?? '').replaceAll(':', '').toLowerCase();
    assert.ok(served.err.includes(pinned), 'the log tells the fingerprint');
    const own = await served.ask({ url: 'https://10.77.0.1:7472/v1/status', headers: bearer(token) });
    assert.equal(
      (own.fingerprint ?? '').replaceAll(':', '').toLowerCase(),
      createHash('sha256').update(new X509Certificate(soon.certificate).raw).digest('hex'),
    );
    const status = statusJson.parse(JSON.parse(own.text));
    assert.ok(status.listeners.length === 8 && status.listeners.every(({ bound }) => bound), JSON.stringify(status.listeners));
    const said = status.warnings.map(({ level, code, text }) => `${level} ${code}: ${text}`).join('\n');
    assert.match(said, /^warning certificate-ends: the certificate of the API at 10\.77\.0\.1:7472 ends on \d{4}-/m);
    assert.match(said, /^information unsigned-images: /m);
    assert.match(said, /^information key-beside-database: .*\/data\/key/m);
    assert.equal(
      (await served.ask({ url: 'http://10.77.0.1:7471/v1/status', headers: bearer(token) })).status,
      0,
      'no clear text on a TLS port',
    );

    const ready = await served.ask({ url: 'http://127.0.0.1:7470/readyz' });
    assert.deepEqual([ready.status, readyJson.parse(JSON.parse(ready.text))], [200, { ready: true, reasons: [] }]);
    assert.equal((await served.ask({ url: 'http://127.0.0.1:7470/metrics' })).status, 401);

    const enrolled = await served.ask({
      url: 'http://127.0.0.1:7470/v1/hosts',
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'h1', macs: ['52:54:00:12:34:56'] }),
    });
    assert.equal(enrolled.status, 201, enrolled.text);
    const events = await served.ask({ url: 'http://127.0.0.1:7470/v1/events?after=0', headers: bearer(token), forMs: 500 });
    assert.match(events.headers['content-type'] ?? '', /^text\/event-stream/);
    assert.match(events.text, /^: remuda\n\nid: 1\nevent: timeline\ndata: \{"host":\{"id":"[^"]+","name":"h1"\}[^\n]*enrolled by first/);
    const metrics = (await served.ask({ url: 'http://127.0.0.1:7470/metrics', headers: bearer(token) })).text;
    for (const line of [
      /^remuda_hosts\{state="(enrolled|inspecting)"\} 1$/m,
      /^remuda_api_requests_total\{action="enrolHost",status="201"\} 1$/m,
      /^remuda_api_refusals_total\{code="unauthenticated"\} 2$/m,
      /^process_resident_memory_bytes \d/m,
      /^remuda_store_write_seconds_count \d/m,
      /^remuda_control_runs_total\{result="/m,
    ])
      assert.match(metrics, line);
    const families = readExposition(metrics);
    for (const name of [...Object.keys(gauges), ...Object.keys(tallies).map((tally) => `${tally}_total`)])
      if (name !== 'warnings' && !name.startsWith('kube_')) assert.ok((families.get(`remuda_${name}`)?.samples.length ?? 0) > 0, name);
    const audit = (await served.ask({ url: 'http://127.0.0.1:7470/v1/audit', headers: bearer(token) })).text;
    assert.match(audit, /"actor":"first","action":"enrolHost","subject":"h1","outcome":"ok"/);
    assert.equal(await served.stop(), 0, served.err);

    await using again = await Served.start(at).ready(4);
    assert.equal(tokenIn(again.out), '', 'shown once');
    assert.equal((await again.ask({ url: 'http://127.0.0.1:7470/v1/hosts', headers: bearer(token) })).status, 200, 'and still good');
  });
  test('a cable that is out is a warning, and not the end of readiness; an interface that is gone is', async () => {
    const at = await Served.prepare('cable', { listen: [{ address: '127.0.0.1', port: 7470 }] });
    await using served = await Served.start(at, 'type veth peer name far0').ready(2);
    const token = tokenIn(served.out);
    const status = async () =>
      statusJson.parse(JSON.parse((await served.ask({ url: 'http://127.0.0.1:7470/v1/status', headers: bearer(token) })).text));
    const ready = async () => {
      const { status: code, text } = await served.ask({ url: 'http://127.0.0.1:7470/readyz' });
      return { code, ...readyJson.parse(JSON.parse(text)) };
    };
    const out = await status();
    assert.deepEqual(
      out.warnings.filter(({ level }) => level === 'warning').map(({ code }) => code),
      ['no-carrier'],
    );
    assert.deepEqual([out.networks[0]?.address, out.listeners.every(({ bound }) => bound)], ['10.77.0.1', true]);
    assert.deepEqual(await ready(), { code: 200, ready: true, reasons: [] });
    await served.inside('ip', 'link', 'set', 'far0', 'up');
    for (let tries = 0; (await status()).warnings.some(({ code }) => code === 'no-carrier'); tries++)
      assert.ok(tries < 50, 'the carrier came');
    await served.inside('ip', 'link', 'set', 'br0', 'down');
    assert.match((await ready()).reasons.join('\n'), /dhcp does not listen at br0:67: br0 is switched off: ip link set br0 up/);
    await served.inside('ip', 'link', 'del', 'br0');
    const gone = await ready();
    assert.deepEqual([gone.code, gone.reasons.length], [503, 4]);
    for (const reason of gone.reasons) assert.match(reason, /br0 was taken away: restart the daemon/);
    assert.equal(await served.stop(), 0, served.err);
  });
  test('without a TCP listener no token is made', async () => {
    await using served = await Served.start(await Served.prepare('socket-only', {})).ready(1);
    assert.equal(served.out, '');
    assert.equal(await served.stop(), 0, served.err);
  });
});

describe('what does not start', () => {
  const cases: readonly { name: string; tls: unknown; files?: (at: string) => Promise<void>; says: RegExp }[] = [
    {
      name: 'no TLS where tokens would cross a network',
      tls: 'none',
      says: /without TLS tokens would cross the network in clear on 10\.77\.0\.1/,
    },
    { name: 'a certificate that is not there', tls: 'files', says: /the API's certificate: [^]*api\.pem/ },
    {
      name: 'a certificate that has ended',
      tls: 'files',
      files: async (at) => {
        const old = await selfSigned('rack', Date.now() - 4000 * 24 * 3600_000);
        await writeFile(join(at, 'api.pem'), old.certificate);
        await writeFile(join(at, 'api.key'), old.key);
      },
      says: /the certificate ended on/,
    },
    {
      name: 'a key of another certificate',
      tls: 'files',
      files: async (at) => {
        const [one, other] = [await selfSigned('rack', Date.now()), await selfSigned('rack', Date.now())];
        await writeFile(join(at, 'api.pem'), one.certificate);
        await writeFile(join(at, 'api.key'), other.key);
      },
      says: /the key is not the one of the certificate/,
    },
  ];
  for (const { name, tls, files, says } of cases)
    test(name, async () => {
      const place = name.replaceAll(' ', '-');
      const given = tls === 'files' ? { certificate: join(folder, place, 'api.pem'), key: join(folder, place, 'api.key') } : tls;
      const at = await Served.prepare(place, { listen: [{ address: '10.77.0.1', port: 7471, tls: given }] });
      await files?.(at);
      await using served = Served.start(at);
      assert.equal(await served.ended(), 1, served.err);
      assert.match(served.err, says);
      assert.ok(!existsSync(join(at, 'r.sock')), 'nothing is left listening');
    });
});
