/** The client over real HTTP: the suite of every KubeApi, and what only a network can do wrong. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { RemudaError } from '../../../src/errors.ts';
import { isGone, KubeError } from '../../../src/kube/api.ts';
import type { KubeApi } from '../../../src/kube/api.ts';
import { KubeClient } from '../../../src/kube/client/kube-client.ts';
import { loadKubeConfig } from '../../../src/kube/client/kube-config.ts';
import type { KubeSource } from '../../../src/kube/client/kube-config.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { Kind } from '../../../src/kube/objects.ts';
import { limits } from '../../../src/limits.ts';
import { selfSigned } from '../../../src/world/certificate.ts';
import { kubeApiCompliance, widget } from '../../compliance/kube-api.ts';
import { fakeWorld } from '../../world/fake.ts';
import type { FakeWorld } from '../../world/fake.ts';
import { FakeApi } from '../fake-api.ts';
import { serveFake } from './serve-fake.ts';
import type { Intercept, Served } from './serve-fake.ts';

const kindOf = (plural: string): Kind | undefined => [widget, ...Object.values(kinds)].find((kind) => kind.plural === plural);
const kubeconfig = (server: string, user: object = { token: 'a-token' }, cluster: object = {}): string =>
  JSON.stringify({
    'current-context': 'here',
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true, ...cluster } }],
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u' } },
      { name: 'nowhere', context: { cluster: 'none', user: 'u' } },
    ],
    users: [{ name: 'u', user }],
  });
interface Ground {
  readonly api: KubeApi;
  readonly fake: FakeApi;
  readonly world: FakeWorld;
  readonly served: Served;
}
const ground = async (t: TestContext, intercept?: Intercept, more: object = {}): Promise<Ground> => {
  const world = fakeWorld();
  const fake = new FakeApi(world);
  const served = await serveFake(fake, kindOf, intercept === undefined ? {} : { intercept });
  t.after(() => served.close());
  const source: KubeSource = { is: 'text', text: kubeconfig(served.url), of: 'a test' };
  const api = new KubeClient({ world, source, version: '1.2.3', ...more });
  return { api, fake, world, served };
};
kubeApiCompliance('the client over HTTP', async (t) => ({ api: (await ground(t)).api, namespace: 'ns' }));

const says =
  (status: number, words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof KubeError, String(error));
    assert.equal(error.httpStatus, status, error.message);
    assert.match(error.message, words);
    return true;
  };
const reply =
  (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Intercept =>
  (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, headers).end(body);
    return true;
  };
const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'ns' }, data: {} });
/** All events until the watch ends; rejects as it does. */
const drain = async (api: KubeApi, signal = new AbortController().signal): Promise<readonly string[]> => {
  const events: string[] = [];
  for await (const event of api.watch(kinds.configMap, { resourceVersion: '1' }, signal)) events.push(event.type);
  return events;
};
const until = async (world: FakeWorld, seen: () => boolean): Promise<void> => {
  while (!seen()) await world.settle();
};

describe('requests', () => {
  test('say who asks, and with what credential; writes are strict', async (t) => {
    const { api, served } = await ground(t);
    await api.create(kinds.configMap, configMap('a'), 'me');
    const [{ headers, url } = assert.fail()] = served.requests;
    assert.equal(headers['user-agent'], 'remuda/1.2.3');
    assert.equal(headers['authorization'], 'Bearer a-token');
    assert.equal(url, '/api/v1/namespaces/ns/configmaps?fieldManager=me&fieldValidation=Strict');
  });
  test('a list is read in pages of 500, all of one version', async (t) => {
    const { api, fake, served } = await ground(t);
    for (let number = 0; number < 1_001; number++) fake.seed(kinds.configMap, configMap(`m${number}`));
    const { items, resourceVersion } = await api.list(kinds.configMap);
    assert.equal(items.length, 1_001);
    assert.equal(resourceVersion, fake.resourceVersion);
    assert.deepEqual(
      served.requests.map(({ url }) => url),
      ['?limit=500', '?limit=500&continue=500', '?limit=500&continue=1000'].map((query) => `/api/v1/configmaps${query}`),
    );
  });
  test('410 between two pages: the list is read whole', async (t) => {
    const expired = JSON.stringify({ kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    const { api, fake, served } = await ground(t, (request, response) => {
      if (!(request.url ?? '').includes('continue=')) return false;
      response.writeHead(410).end(expired);
      return true;
    });
    for (let number = 0; number < 501; number++) fake.seed(kinds.configMap, configMap(`m${number}`));
    assert.equal((await api.list(kinds.configMap)).items.length, 501);
    assert.equal(served.requests.at(-1)?.url, '/api/v1/configmaps');
  });
  test('a kind that is not installed is an error, not an object that is not there', async (t) => {
    const { api } = await ground(t);
    const none: Kind = { ...kinds.machine, plural: 'nothings', kind: 'Nothing' };
    await assert.rejects(
      api.get(none, 'ns/a'),
      says(404, /could not get Nothing ns\/a at http.*404 page not found; check that the kind is installed/),
    );
    await assert.rejects(api.delete(none, 'ns/a'), says(404, /delete Nothing/));
  });
  const refusals: readonly { readonly name: string; readonly intercept: Intercept; readonly status: number; readonly words: RegExp }[] = [
    {
      name: 'a Status is told in full',
      intercept: reply(
        403,
        JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message: 'configmaps is forbidden: User "x" cannot' }),
      ),
      status: 403,
      words: /could not get ConfigMap ns\/a at http:\/\/127.*: 403 Forbidden: configmaps is forbidden.*; grant it to the role/,
    },
    { name: "a proxy's page is shown", intercept: reply(502, '<html>bad gateway</html>'), status: 502, words: /502 .*<html>bad gateway/ },
    { name: 'an empty refusal', intercept: reply(500, ''), status: 500, words: /500 InternalError: no word why/ },
    {
      name: 'credentials that are refused twice',
      intercept: reply(401, ''),
      status: 401,
      words: /401 Unauthorized.*check the credentials/,
    },
    {
      name: 'a connection that is cut in the middle of the answer',
      intercept: (_request, response) => {
        response.writeHead(200, { 'Content-Length': '100' }).write('{"a":', () => response.destroy());
        return true;
      },
      status: 0,
      words: /could not get ConfigMap ns\/a at .*; check that the server runs/,
    },
  ];
  for (const { name, intercept, status, words } of refusals)
    test(`refused: ${name}`, async (t) => {
      const { api } = await ground(t, intercept);
      await assert.rejects(api.get(kinds.configMap, 'ns/a'), says(status, words));
    });
  test('a success that is no JSON is no API server', async (t) => {
    const { api } = await ground(t, reply(200, 'welcome'));
    await assert.rejects(api.list(kinds.configMap), says(0, /no JSON: is this an API server\?/));
  });
  test('Retry-After is kept, from the header and from the Status', async (t) => {
    const retryAfterOf = async (intercept: Intercept): Promise<number | undefined> => {
      const error = await (await ground(t, intercept)).api.get(kinds.configMap, 'ns/a').catch((thrown: unknown) => thrown);
      assert.ok(error instanceof KubeError);
      return error.retryAfterMs;
    };
    assert.equal(await retryAfterOf(reply(429, '', { 'Retry-After': '3' })), 3_000);
    assert.equal(
      await retryAfterOf(reply(429, JSON.stringify({ kind: 'Status', details: { retryAfterSeconds: 5 } }), { 'Retry-After': '3' })),
      5_000,
    );
    assert.equal(await retryAfterOf(reply(503, '')), undefined);
  });
  test('a server that does not answer: 504 after the time that a call has', async (t) => {
    let asked = 0;
    const { api, world } = await ground(t, () => ++asked > 0);
    const call = assert.rejects(api.get(kinds.configMap, 'ns/a'), says(504, /nothing came for 30000 ms/));
    await until(world, () => asked > 0);
    await world.advance(limits.kubeCallMs);
    await call;
  });
  test('a server that is not there', async (t) => {
    const { api, served } = await ground(t);
    await served.close();
    await assert.rejects(api.get(kinds.configMap, 'ns/a'), says(0, /ECONNREFUSED.*check that the server runs/));
  });
  test('an answer that is too large is not read to its end', async (t) => {
    const { api } = await ground(t, reply(200, JSON.stringify({ x: 'y'.repeat(2_000) })), { limits: { ...limits, kubeReplyBytes: 1_000 } });
    await assert.rejects(api.get(kinds.configMap, 'ns/a'), says(0, /larger than 1000 bytes/));
  });
});

describe('a watch', () => {
  test('asks for bookmarks and ends itself within minutes', async (t) => {
    const { api, fake, served } = await ground(t);
    const watch = drain(api);
    while (fake.watching === 0) await new Promise((resolve) => setImmediate(resolve));
    fake.cutWatches();
    assert.deepEqual(await watch, []);
    const query = new URL(served.requests[0]?.url ?? '', served.url).searchParams;
    assert.deepEqual([query.get('watch'), query.get('allowWatchBookmarks'), query.get('resourceVersion')], ['1', 'true', '1']);
    assert.ok(Number(query.get('timeoutSeconds')) >= 300 && Number(query.get('timeoutSeconds')) < 600);
  });
  test('lines over chunk borders, characters over chunk borders, empty lines, and a last line that is cut', async (t) => {
    const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'ä€😀', resourceVersion: '7' } } })}\n\n`);
    const { api } = await ground(t, (_request, response) => {
      const pieces = [...line, ...line].map((byte) => Buffer.of(byte));
      const next = (): void => {
        const piece = pieces.shift();
        if (piece === undefined) response.end('{"type":"ADDED","obj');
        else response.write(piece, () => setImmediate(next));
      };
      response.writeHead(200);
      next();
      return true;
    });
    const names: string[] = [];
    for await (const event of api.watch(kinds.configMap, { resourceVersion: '1' }, new AbortController().signal))
      if (event.type !== 'BOOKMARK') names.push(event.object.metadata.name);
    assert.deepEqual(names, ['ä€😀', 'ä€😀']);
  });
  test('an ERROR event throws with its own code', async (t) => {
    const { api, fake } = await ground(t);
    fake.seed(kinds.configMap, configMap('a'));
    fake.compact();
    await assert.rejects(
      drain(api),
      (error) => isGone(error) && says(410, /could not watch ConfigMap at http.*too old resource version/)(error),
    );
  });
  test('a refusal at its beginning is one', async (t) => {
    const { api } = await ground(t, reply(500, ''));
    await assert.rejects(drain(api), says(500, /could not watch ConfigMap/));
  });
  test('a line that is no JSON, and one that is too long', async (t) => {
    const broken = await ground(t, reply(200, 'nonsense\n'));
    await assert.rejects(drain(broken.api), says(0, /a line that is no JSON: nonsense/));
    const long = await ground(t, reply(200, 'x'.repeat(2_000)), { limits: { ...limits, kubeReplyBytes: 1_000 } });
    await assert.rejects(drain(long.api), says(0, /one event is larger than 1000 bytes/));
  });
  test('silence ends it with 504; whatever comes begins the time anew', async (t) => {
    const bookmark = `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } })}\n`;
    let open: ServerResponse | undefined;
    const { api, world } = await ground(t, (_request, response) => {
      open = response;
      response.writeHead(200).flushHeaders();
      return true;
    });
    const seen: string[] = [];
    const watch = (async (): Promise<void> => {
      for await (const event of api.watch(kinds.configMap, { resourceVersion: '1' }, new AbortController().signal)) seen.push(event.type);
    })();
    const silent = assert.rejects(watch, says(504, /could not watch ConfigMap.*nothing came for 90000 ms; it is tried again/));
    await until(world, () => open !== undefined);
    open?.write(bookmark);
    await until(world, () => seen.length === 1);
    await world.advance(limits.kubeWatchSilenceMs - 1);
    open?.write(bookmark);
    await until(world, () => seen.length === 2);
    await world.advance(limits.kubeWatchSilenceMs - 1);
    assert.equal(seen.length, 2);
    await world.advance(1);
    await silent;
  });
});

describe('credentials', () => {
  const folder = (t: TestContext): string => {
    const path = mkdtempSync(join(tmpdir(), 'remuda-kube-'));
    t.after(() => rmSync(path, { recursive: true }));
    return path;
  };
  test('TLS by the CA of the kubeconfig, and few connections for many requests', async (t) => {
    const { key, certificate } = await selfSigned('api.test', Date.now());
    const world = fakeWorld();
    const served = await serveFake(new FakeApi(world), kindOf, { identity: { key, cert: certificate } });
    t.after(() => served.close());
    const cluster = { 'insecure-skip-tls-verify': false, 'certificate-authority-data': Buffer.from(certificate).toString('base64') };
    const text = (server: string, ca: object): KubeSource => ({ is: 'text', text: kubeconfig(server, {}, ca), of: 'a test' });
    const api = new KubeClient({ world, source: text(served.url, { ...cluster, 'tls-server-name': 'api.test' }), version: '1' });
    for (let number = 0; number < 20; number++) await api.list(kinds.configMap);
    // A request may come before the connection of the last one is free again.
    assert.ok(served.connections() <= 3, String(served.connections()));
    const trusting = new KubeClient({ world, source: text(served.url, { 'insecure-skip-tls-verify': false }), version: '1' });
    await assert.rejects(trusting.list(kinds.configMap), says(0, /self-signed certificate/));
  });
  test('refused, they are read anew once from where they stand', async (t) => {
    const file = join(folder(t), 'config');
    let good = 'old';
    const { served, world } = await ground(t, (request, response) => {
      if (request.headers.authorization === `Bearer ${good}`) return false;
      response.writeHead(401).end();
      return true;
    });
    writeFileSync(file, kubeconfig(served.url, { token: 'old' }));
    const api = new KubeClient({ world, source: { is: 'file', path: file }, version: '1' });
    assert.equal(await api.get(kinds.configMap, 'ns/a'), undefined);
    good = 'new';
    writeFileSync(file, kubeconfig(served.url, { token: 'new' }));
    assert.equal(await api.get(kinds.configMap, 'ns/a'), undefined);
    assert.equal(served.requests.length, 3);
  });
  test('an exec plugin is asked once for requests that come together', async (t) => {
    const { served, world } = await ground(t);
    const path = folder(t);
    const file = join(path, 'config');
    const credential = '{"kind":"ExecCredential","status":{"token":"from-a-program"}}';
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'sh',
      args: ['-c', `echo x >> ${path}/runs; echo '${credential}'`],
    };
    writeFileSync(file, kubeconfig(served.url, { exec }));
    const api = new KubeClient({ world, source: { is: 'file', path: file }, version: '1' });
    await Promise.all([1, 2, 3].map(() => api.get(kinds.configMap, 'ns/a')));
    assert.deepEqual(new Set(served.requests.map(({ headers }) => headers['authorization'])), new Set(['Bearer from-a-program']));
    assert.equal(readFileSync(`${path}/runs`, 'utf8'), 'x\n');
  });
  const bad = (words: RegExp) => (error: unknown) =>
    error instanceof RemudaError && error.code === 'bad-config' && words.test(error.message);
  test('a file that is not there, a context that is not there, a context without a cluster', (t) => {
    const file = join(folder(t), 'config');
    assert.throws(() => loadKubeConfig({ is: 'file', path: file }), bad(/the kubeconfig .*config cannot be read: ENOENT/));
    writeFileSync(file, kubeconfig('https://x'));
    assert.throws(() => loadKubeConfig({ is: 'file', path: file, context: 'away' }), bad(/has no context "away"/));
    assert.throws(() => loadKubeConfig({ is: 'file', path: file, context: 'away' }), { next: /--kube-context NAME/ });
    assert.throws(() => loadKubeConfig({ is: 'file', path: `${file}-away` }), { next: /--kubeconfig FILE/ });
    assert.throws(() => loadKubeConfig({ is: 'file', path: file, context: 'nowhere' }), bad(/names no cluster/));
    assert.equal(loadKubeConfig({ is: 'file', path: file, context: 'here' }).getCurrentCluster()?.server, 'https://x');
  });
  test('what somebody else wrote starts no program and names no file, however it is spelled', () => {
    const reaching: readonly (readonly [string, string])[] = [
      ['exec', kubeconfig('https://x', { exec: { command: 'sh' } })],
      ['auth-provider', kubeconfig('https://x', { 'auth-provider': { name: 'gcp' } })],
      ['token-file', kubeconfig('https://x', { 'token-file': '/etc/hostname' })],
      ['token-file', kubeconfig('https://x', {}).replace('"user":{}', '"user":{"token\\u002dfile":"/etc/hostname"}')],
      ['client-key', kubeconfig('https://x', { 'client-key': '/etc/hostname' })],
      ['certificate-authority', kubeconfig('https://x', {}, { 'certificate-authority': '/etc/hostname' })],
      ['proxy-url', kubeconfig('https://x', {}, { 'proxy-url': 'http://127.0.0.1:1' })],
    ];
    for (const [name, text] of reaching)
      assert.throws(
        () => loadKubeConfig({ is: 'text', text, of: 'cluster ns/c' }),
        bad(new RegExp(`the kubeconfig of cluster ns/c has "${name}"`)),
        text,
      );
    const secret = 'users: [{name: u, user: {token: s3cret';
    assert.throws(
      () => loadKubeConfig({ is: 'text', text: secret, of: 'x' }),
      (error) => bad(/is no YAML/)(error) && !String(error).includes('s3cret'),
    );
    assert.throws(() => loadKubeConfig({ is: 'text', text: '{}', of: 'x' }), bad(/is none/));
  });
});
