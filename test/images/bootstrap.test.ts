/** The kubernetes image's last word about its first boot: who is told what, and that no secret is in it. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { logTail } from '../../src/host/log-tail.ts';
import { seedFiles } from '../../src/image/seed.ts';

const program = join(import.meta.dirname, '../../images/kubernetes/root/usr/lib/remuda/bootstrap');
const folder = mkdtempSync(join(tmpdir(), 'remuda-bootstrap-'));
after(() => rmSync(folder, { recursive: true }));

interface Heard {
  readonly path: string;
  readonly type: string;
  readonly body: string;
}
/** An appliance that listens; it answers with these statuses, and with the last of them ever after. */
const appliance = async (t: TestContext, ...statuses: number[]) => {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      heard.push({ path: request.url ?? '', type: request.headers['content-type'] ?? '', body });
      response.statusCode = statuses[Math.min(heard.length, statuses.length) - 1] ?? 204;
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { url: `http://127.0.0.1:${address.port}`, heard };
};

const asksForKubernetes = `## template: jinja
#cloud-config
runcmd:
  - kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml  && echo success > /run/cluster-api/bootstrap-success.complete
`;
const seedOf = (url: string): string =>
  seedFiles({
    instanceId: 'claim-1.1',
    claimId: 'claim-1',
    hostName: 'node-7',
    phoneHomeUrl: `${url}/phone-home/abc`,
    reportFailureUrl: `${url}/phone-home/abc/failed`,
  })['meta-data'];
/** A host's files after its first boot. */
const host = (url: string, userData: string | Buffer, files: Readonly<Record<string, string>> = {}): string => {
  const root = mkdtempSync(join(folder, 'host-'));
  const metaData = seedOf(url);
  const all = {
    '/run/remuda/seed/meta-data': metaData,
    '/run/remuda/seed/user-data': userData,
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
};
const boot = (root: string): Promise<{ readonly code: number; readonly said: string }> =>
  new Promise((resolve) => {
    execFile('python3', [program], { env: { PATH: '/usr/bin:/bin', REMUDA_ROOT: root }, timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), said: stdout + stderr }),
    );
  });
const success = { '/run/cluster-api/bootstrap-success.complete': 'success\n' };

for (const [name, userData, files] of [
  ['user data without Kubernetes', '#cloud-config\nhostname: node-7\n', {}],
  ['a join that succeeded', asksForKubernetes, success],
] as const)
  test(`${name}: the host phones home, once`, async (t) => {
    const { url, heard } = await appliance(t, 204);
    const root = host(url, userData, files);
    assert.deepEqual(await boot(root), { code: 0, said: 'remuda: the first boot ended well\n' });
    assert.equal((await boot(root)).code, 0);
    assert.deepEqual(heard, [
      { path: '/phone-home/abc', type: 'application/x-www-form-urlencoded', body: 'hostname=node-7&instance_id=claim-1.1' },
    ]);
  });

test('a power cut between the join and the call: it is called all the same', async (t) => {
  const { url, heard } = await appliance(t, 503);
  const root = host(url, asksForKubernetes, success);
  const cut = spawn('python3', [program], { env: { PATH: '/usr/bin:/bin', REMUDA_ROOT: root }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(cut.stdout, 'data');
  await once(cut.stdout, 'data');
  assert.equal(heard.length, 1);
  const ended = once(cut, 'exit');
  cut.kill('SIGKILL');
  await ended;
  rmSync(join(root, 'run/cluster-api'), { recursive: true });
  const later = await appliance(t, 204);
  writeFileSync(join(root, 'run/remuda/seed/meta-data'), seedOf(later.url));
  assert.equal((await boot(root)).code, 0);
  assert.equal(later.heard[0]?.path, '/phone-home/abc');
});

const hidden = [
  'abcdef.0123456789abcdef',
  'MIIEowIBAAKCAQEAt0kbYd2m',
  'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl',
  '6c4f3e0b'.repeat(8),
  'hunter2',
  'swordfish',
  'QUJD'.repeat(40),
];
const output = `ci-info: | Route |  Destination  |   Gateway   |
[preflight] Running pre-flight checks
error execution phase preflight: couldn't validate the identity of the API Server: token ${hidden[0]} is expired
discovery-token-ca-cert-hash sha256:${'ab'.repeat(32)}
-----BEGIN RSA PRIVATE KEY-----
${hidden[1]}
-----END RSA PRIVATE KEY-----
Authorization: Bearer ${hidden[2]}
kubeadm join 10.0.0.1:6443 --certificate-key ${hidden[3]}
fetching https://admin:${hidden[4]}@mirror.example/x
db_password=${hidden[5]}
client-certificate-data: ${hidden[6]}
To see the stack trace of this error execute with --v=5 or higher
`;

for (const [name, userData, files, why] of [
  ['a join that failed', asksForKubernetes, {}, /\n== the user data asked for Kubernetes, and its commands ended before \S+ was written$/],
  ['compressed user data', gzipSync(asksForKubernetes), {}, /\n== the user data asked for Kubernetes/],
  [
    'commands that cloud-init made of user data in parts',
    'Content-Type: multipart/mixed\n',
    { '/var/lib/cloud/instance/scripts/runcmd': asksForKubernetes },
    /\n== the user data asked/,
  ],
  [
    'Ignition',
    JSON.stringify({ ignition: { version: '3.4.0' }, storage: { files: [{ path: '/run/cluster-api/bootstrap-success.complete' }] } }),
    {},
    /\n== the user data is Ignition, and this image reads cloud-config: set the KubeadmConfig's spec.format/,
  ],
] as const)
  test(`${name}: the end of the logs is reported, without a secret`, async (t) => {
    const { url, heard } = await appliance(t, 204);
    const root = host(url, userData, {
      '/var/log/cloud-init-output.log': `${'an older line of the log\n'.repeat(2000)}${output}`,
      '/var/log/cloud-init.log': '2026-01-01 00:00:00,000 - util.py[WARNING]: Failed to run module\n2026 - util.py[DEBUG]: quiet\n',
      '/journal-kubelet': `I0101 ${'x '.repeat(10_000)}\nE0102 "Failed to run kubelet" err="no swap"\nScheduled restart job\n`,
      ...files,
    });
    const { code, said } = await boot(root);
    assert.equal(code, 1);
    assert.match(said, /^remuda: the user data/);
    assert.equal(heard.length, 1);
    const [report] = heard;
    assert.ok(report !== undefined);
    assert.equal(report.path, '/phone-home/abc/failed');
    assert.match(report.body, why);
    for (const told of [/preflight: couldn't validate/, /stack trace/, /Failed to run module/, /err="no swap"/, /sha256:abab/])
      assert.match(report.body, told);
    assert.doesNotMatch(report.body, /DEBUG|ci-info/);
    // The appliance keeps the last 20 lines: why must be among them, and what the commands said.
    assert.match(logTail(report.body), /stack trace[^]*\n== the kubelet's last errors\nE0102 .*no swap"\n== the user data/);
    for (const secret of hidden) assert.ok(!report.body.includes(secret), secret);
    assert.ok(Buffer.byteLength(report.body) <= 16 * 1024);
    // What was said once is not said again.
    assert.equal((await boot(root)).code, 0);
    assert.equal(heard.length, 1);
  });

test('an appliance that refuses is not asked again, one that is away is', async (t) => {
  const refusing = await appliance(t, 410);
  assert.equal((await boot(host(refusing.url, asksForKubernetes))).code, 1);
  assert.equal(refusing.heard.length, 1);
  const away = await appliance(t, 503, 204);
  assert.equal((await boot(host(away.url, '#cloud-config\n'))).code, 0);
  assert.equal(away.heard.length, 2);
});
