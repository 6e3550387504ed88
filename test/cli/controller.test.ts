/** `remuda controller` and `remuda capi manifests`: what the options say, and what is refused before anything starts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { bench } from './bench.ts';

test('the provider is told its rack, its cluster and who may claim what', async () => {
  const { run, local } = await bench();
  const done = await run([
    ...'controller --url https://remuda.example:7471 --token t0 --kubeconfig k.yaml --kube-context m --namespace metal'.split(' '),
    ...'--pools team-a=gpu,default --pools *= --reuse 30m --health-listen :9440 --extension-listen 10.0.0.2:7444 --extension-certificate /c.pem --extension-key /k.pem'.split(
      ' ',
    ),
  ]);
  assert.equal(done.exit, 0, done.err);
  const [name, wish] = local.asked.at(-1) as [string, Record<string, unknown>];
  assert.equal(name, 'controller');
  assert.deepEqual(
    { ...wish, kubeconfig: String(wish['kubeconfig']).endsWith('/k.yaml') },
    {
      rack: { url: 'https://remuda.example:7471', token: 't0' },
      kubeconfig: true,
      context: 'm',
      namespace: 'metal',
      pools: { 'team-a': ['gpu', 'default'], '*': [] },
      reuseSeconds: 1800,
      leaderNamespace: 'remuda-system',
      health: { address: '0.0.0.0', port: 9440 },
      extension: { address: '10.0.0.2', port: 7444, certificate: '/c.pem', key: '/k.pem' },
      logLevel: 'info',
    },
  );
});

test('what clusterctl leaves empty is as if it was not said; without a Lease where there is no other', async () => {
  const { run, local } = await bench();
  assert.equal((await run(['controller', '--namespace', '', '--watch-filter', '', '--no-leader-elect'])).exit, 0);
  const [, wish] = local.asked.at(-1) as [string, Record<string, unknown>];
  assert.deepEqual(wish, {
    rack: { socket: '/run/remuda/remuda.sock' },
    pools: { '*': ['default'] },
    reuseSeconds: 3600,
    logLevel: 'info',
  });
});

for (const [line, says] of [
  ['controller --health-listen 9440', /write 0\.0\.0\.0:9440/],
  ['controller --pools gpu', /--pools NAMESPACE=POOL/],
  ['controller --extension-key k.pem', /without --extension-listen/],
  ['controller --extension-listen :7444', /caBundle/],
  ['controller --url http://remuda.example --token t', /plain text/],
] as const)
  test(`refused: ${line}`, async () => {
    const { run, local } = await bench();
    const { exit, err } = await run(line);
    assert.equal(exit, 2);
    assert.match(err, says);
    assert.deepEqual(local.asked, []);
  });

for (const [error, exit, next] of [
  [
    new RemudaError('bad-config', 'no kubeconfig was found', { next: 'name it: --kubeconfig FILE' }),
    2,
    /next: +name it: --kubeconfig FILE/,
  ],
  [new RemudaError('bad-config', 'the address is in use'), 2, /next: +mend the options: see remuda controller --help/],
  [new RemudaError('disk-full', 'no room'), 1, /next: +make room/],
] as const)
  test(`what it cannot begin with is told as wrong usage, all else is not: ${error.message}`, async () => {
    const { run, local } = await bench();
    Object.assign(local, { controller: () => Promise.reject(error) });
    const done = await run('controller');
    assert.equal(done.exit, exit);
    assert.match(done.err, next);
    assert.doesNotMatch(done.err, /configuration file/);
  });

test('the files for clusterctl are named where they were written', async () => {
  const { run } = await bench();
  assert.match((await run('capi manifests --out out')).out, /\/out\/metadata\.yaml\n$/);
});
