/** Downloads from real servers on loopback, which here alone is allowed: redirects, broken connections, hashes, limits, and a server that means harm. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { RemudaError } from '../../src/errors.ts';
import type { Code } from '../../src/errors.ts';
import type { ImportOptions } from '../../src/image/import.ts';
import type { Progress } from '../../src/image/read.ts';
import { generateKey, signFile } from '../../src/image/sign.ts';
import { parseSignatureFile, trustAll } from '../../src/image/signature.ts';
import type { Trust } from '../../src/image/signature.ts';
import { sourcePolicy } from '../../src/image/source-policy.ts';
import { openImageStore } from '../../src/image/store.ts';
import type { ImageStore } from '../../src/image/store.ts';
import { parsePublicKey } from '../../src/wire/signing-key.ts';
import { httpGet } from '../../src/world/http-get.ts';
import { diskImage, imageWorld, limits as small, place } from './disk.ts';
import type { TestWorld } from './disk.ts';
import type { MemoryFilesOptions } from '../world/memory-files.ts';

const life = new AbortController();
const closers: (() => void)[] = [];
after(() => {
  life.abort();
  for (const close of closers) close();
});
const limits = { ...small, chunkBytes: 256 * 1024, imageBytesMax: 16 * 1024 * 1024 };
interface Origin {
  readonly url: string;
  readonly asked: IncomingMessage['headers'][];
}
const serve = async (handle: (request: IncomingMessage, answer: ServerResponse, count: number) => void): Promise<Origin> => {
  const asked: IncomingMessage['headers'][] = [];
  const listener: RequestListener = (request, answer) => {
    asked.push(request.headers);
    handle(request, answer, asked.length);
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
};

const closed = sourcePolicy({ allowPrivate: [], allowUnpinned: false });
/** Only these tests may fetch from this machine itself; every other address is judged as in earnest. */
const loopbackToo = {
  ...closed,
  refuses: (host: string, address: string) => (address === '127.0.0.1' ? undefined : closed.refuses(host, address)),
};
interface Setting {
  readonly files?: MemoryFilesOptions;
  readonly trust?: Trust;
  readonly policy?: typeof closed;
}
const setting = ({ files = {}, trust = trustAll, policy = loopbackToo }: Setting = {}): {
  world: TestWorld;
  store: ImageStore;
  slept: number[];
} => {
  const slept: number[] = [];
  const plain = imageWorld(files);
  const clock = {
    ...plain.clock,
    sleep: async (ms: number): Promise<void> => {
      slept.push(ms);
    },
  };
  const world = { ...plain, clock, http: { get: (request: Parameters<typeof httpGet>[0]) => httpGet(request, life.signal) } };
  return { world, store: openImageStore(world, '/images', limits, () => ({ trust, sources: policy })), slept };
};
const left = (world: TestWorld): string[] =>
  [...world.files.disk.keys()].filter((path) => /^\/images\/(chunks\/..\/|manifests\/|names\/|\.incoming\/)./.test(path));
const refused =
  (code: Code, what: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof RemudaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, what);
    return true;
  };

const image = diskImage(10 * 1024 * 1024 + 512, [], randomBytes(9_500_000));
const sha256 = createHash('sha256').update(image).digest('hex');
const name = 'fetched';

test('an image comes with progress, and nothing of the download stays', async () => {
  const origin = await serve((_request, answer) => answer.setHeader('content-length', image.length).end(image));
  const { world, store } = setting();
  const steps: Progress[] = [];
  const entry = await store.import(
    { url: `${origin.url}/disk.raw?token=secret`, sha256 },
    { name, onProgress: (step) => void steps.push(step) },
  );
  assert.equal(entry.digest, `sha256:${sha256}`);
  assert.equal((await store.verify(entry.digest)).ok, true);
  const loads = steps.filter(({ step }) => step === 'download');
  assert.deepEqual(loads.at(-1), { step: 'download', doneBytes: image.length, totalBytes: image.length });
  assert.ok(loads.length > 3);
  assert.deepEqual(steps.at(-1), { doneBytes: image.length, totalBytes: image.length });
  assert.deepEqual(
    left(world).filter((path) => path.startsWith('/images/.incoming/')),
    [],
  );
  assert.equal(origin.asked[0]?.['accept-encoding'], 'identity');
});

test('a packed image: the hash is that of the file, the digest that of the image', async () => {
  const packed = zstdCompressSync(image);
  const origin = await serve((_request, answer) => answer.end(packed));
  const hash = createHash('sha256').update(packed).digest('hex');
  assert.equal(
    (await setting().store.import({ url: origin.url, sha256: hash }, { name, expectDigest: sha256 })).digest,
    `sha256:${sha256}`,
  );
  const { store, world } = setting();
  await assert.rejects(store.import({ url: origin.url, sha256 }, { name }), refused('image-invalid', /SHA-256 .* not the expected/));
  assert.deepEqual(left(world), []);
});

/** Breaks the connection after so many bytes of what it sends, as often as there are breaks. */
const breaking = (breaks: number[], headers: Readonly<Record<string, string>>, body: (count: number) => Uint8Array = () => image) =>
  serve((request, answer, count) => {
    const content = body(count);
    const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const start = request.headers['if-range'] === (headers['etag'] ?? headers['last-modified']) ? Number(from ?? 0) : 0;
    const part = content.subarray(start);
    const range = start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {};
    answer.writeHead(start > 0 ? 206 : 200, { ...headers, ...range, 'content-length': String(part.length) });
    const end = breaks.shift();
    if (end === undefined) answer.end(part);
    else answer.write(part.subarray(0, end), () => setImmediate(() => answer.destroy()));
  });

test('a broken connection is resumed where it broke, if the file is still the same', async () => {
  for (const headers of [{ etag: '"v1"' }, { 'last-modified': 'Sat, 21 Nov 2026 12:00:00 GMT' }]) {
    const origin = await breaking([5_000_000, 4_500_000], headers);
    const { store, slept } = setting();
    assert.equal((await store.import({ url: origin.url, sha256 }, { name })).digest, `sha256:${sha256}`);
    assert.equal(origin.asked.length, 3);
    assert.match(origin.asked[1]?.range ?? '', /^bytes=\d{6,}-$/);
    assert.equal(origin.asked[1]?.['if-range'], Object.values(headers)[0]);
    assert.deepEqual(slept, [1_000, 1_000]);
  }
});
test('a file that has changed meanwhile, and one without a strong name, begin anew', async () => {
  const other = Buffer.from(image).fill('x', 0, 100_000);
  const tags = ['"v1"', '"v2"'];
  const changed = await serve((_request, answer, count) => {
    answer.writeHead(200, { etag: tags[count - 1] ?? '', 'content-length': String(image.length) });
    if (count === 1) answer.write(other.subarray(0, 5_000_000), () => setImmediate(() => answer.destroy()));
    else answer.end(image);
  });
  assert.equal((await setting().store.import({ url: changed.url, sha256 }, { name })).digest, `sha256:${sha256}`);
  const weak = await breaking([5_000_000], { etag: 'W/"v1"' });
  assert.equal((await setting().store.import({ url: weak.url, sha256 }, { name })).digest, `sha256:${sha256}`);
  assert.equal(weak.asked[1]?.range, undefined);
});
test('a part that does not fit is not glued on', async () => {
  const origin = await serve((request, answer, count) => {
    if (count === 1) {
      answer.writeHead(200, { etag: '"a"', 'content-length': String(image.length) });
      answer.write(image.subarray(0, 5_000_000), () => setImmediate(() => answer.destroy()));
    } else if (request.headers.range === undefined) answer.end(image);
    else {
      answer.writeHead(206, { etag: '"a"', 'content-range': `bytes 7-${image.length - 1}/${image.length}` });
      answer.end(image.subarray(7));
    }
  });
  assert.equal((await setting().store.import({ url: origin.url, sha256 }, { name })).digest, `sha256:${sha256}`);
  assert.equal(origin.asked.length, 3);
});

const failures: readonly {
  readonly what: string;
  readonly handle: (request: IncomingMessage, answer: ServerResponse, count: number) => void;
  readonly code: Code;
  readonly says: RegExp;
  readonly asked?: number;
  readonly options?: Partial<ImportOptions>;
}[] = [
  { what: '404 once', handle: (_r, answer) => answer.writeHead(404).end(), code: 'source-failed', says: /answers 404/, asked: 1 },
  {
    what: '503 for ever',
    handle: (_r, answer) => answer.writeHead(503).end(),
    code: 'source-failed',
    says: /answers 503; gave up after 3 tries/,
    asked: 3,
  },
  {
    what: 'connections that break at once',
    handle: (_r, answer) => answer.destroy(),
    code: 'source-failed',
    says: /cut|hang up.*gave up after 3 tries/,
    asked: 3,
  },
  {
    what: 'a length above the limit',
    handle: (_r, answer) => answer.writeHead(200, { 'content-length': String(limits.imageBytesMax + 1) }).write('x'),
    code: 'too-large',
    says: /more than 16777216 bytes/,
    asked: 1,
  },
  {
    what: 'a body without end',
    handle: (_r, answer) => {
      const more = (): void => {
        while (answer.writable && answer.write(Buffer.alloc(1024 * 1024)));
        answer.once('drain', more);
      };
      more();
    },
    code: 'too-large',
    says: /more than 16777216 bytes/,
    asked: 1,
  },
  { what: 'silence in the head', handle: () => {}, code: 'source-failed', says: /silence for 1000 ms/, asked: 3 },
  {
    what: 'silence in the body',
    handle: (_r, answer) => void answer.writeHead(200).write('x'),
    code: 'source-failed',
    says: /silence for 1000 ms/,
    asked: 3,
  },
  {
    what: 'a body packed on the way',
    handle: (_r, answer) => answer.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    code: 'source-failed',
    says: /packed by gzip/,
    asked: 1,
  },
  {
    what: 'a redirect nowhere',
    handle: (_r, answer) => answer.writeHead(302).end(),
    code: 'source-refused',
    says: /redirects nowhere/,
    asked: 1,
  },
  {
    what: 'redirects in a circle',
    handle: (_r, answer) => answer.writeHead(301, { location: '/again' }).end(),
    code: 'source-refused',
    says: /more than 3 times/,
    asked: 4,
  },
  ...[
    ['http://169.254.169.254/latest/meta-data/', /169\.254\.169\.254 is a link-local address/],
    ['http://[fe80::1]/', /fe80::1 is a link-local address/],
    ['http://[::ffff:169.254.169.254]/', /is a link-local address/],
    ['http://127.0.0.2:8080/', /127\.0\.0\.2 is this machine itself/],
    ['http://0x7f000002/', /127\.0\.0\.2 is this machine itself/],
    ['http://10.0.0.1/', /10\.0\.0\.1 is a private address; .*allowPrivate/],
    ['http://100.100.100.200/', /metadata service/],
    ['file:///etc/passwd', /by http: and https: only/],
    ['ftp://a/b', /by http: and https: only/],
    ['http://user:secret@127.0.0.1/', /password in a URL/],
  ].map(([location, says]) => ({
    what: `a redirect to ${String(location)}`,
    handle: (_r: IncomingMessage, answer: ServerResponse): void => void answer.writeHead(307, { location: String(location) }).end(),
    code: 'source-refused' as const,
    says: says as RegExp,
    asked: 1,
  })),
];
for (const { what, handle, code, says, asked, options } of failures)
  test(`${what}: refused, and nothing is left behind`, async () => {
    const origin = await serve(handle);
    const { world, store } = setting();
    await assert.rejects(store.import({ url: `${origin.url}/a`, sha256 }, { name, ...options }), (error: unknown) => {
      refused(code, says)(error);
      return !String(error).includes('secret@');
    });
    assert.deepEqual(left(world), []);
    if (asked !== undefined) assert.equal(origin.asked.length, asked);
  });

test('without the tests\u2019 own permission this machine is not asked at all', async () => {
  const origin = await serve((_request, answer) => answer.end(image));
  for (const url of [origin.url, origin.url.replace('127.0.0.1', 'localhost'), origin.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')])
    await assert.rejects(
      setting({ policy: closed }).store.import({ url, sha256 }, { name }),
      refused('source-refused', /this machine itself/),
    );
  assert.equal(origin.asked.length, 0);
});

test('a redirect within what is allowed is followed, also a relative one', async () => {
  const origin = await serve((request, answer) =>
    request.url === '/b/c' ? answer.end(image) : answer.writeHead(302, { location: 'b/c' }).end(),
  );
  assert.equal((await setting().store.import({ url: `${origin.url}/a`, sha256 }, { name })).digest, `sha256:${sha256}`);
});

test('what is not pinned is not asked for', async () => {
  const origin = await serve((_request, answer) => answer.end(image));
  const { store } = setting({ trust: { keys: [], required: true }, policy: { ...loopbackToo, allowUnpinned: true } });
  await assert.rejects(
    store.import({ url: origin.url }, { name }),
    refused('source-refused', /--sha256 of the file, or --digest of the image/),
  );
  await assert.rejects(
    setting().store.import({ url: 'https://127.0.0.1/a' }, { name }),
    refused('source-refused', /or a signature, or set images\.sources\.allowUnpinned/),
  );
  assert.equal(origin.asked.length, 0);
  for (const trust of [trustAll, { keys: [], required: true }])
    await assert.rejects(
      setting({ trust, policy: { ...loopbackToo, allowUnpinned: trust === trustAll } }).store.import(
        { url: `https://127.0.0.1:${new URL(origin.url).port}/` },
        { name },
      ),
      refused('source-failed', /127\.0\.0\.1/),
    );
  for (const bad of ['xyz', 'SHA256:00'])
    await assert.rejects(store.import({ url: origin.url, sha256: bad }, { name }), refused('bad-request', /no SHA-256/));
  assert.equal((await setting().store.import({ url: origin.url }, { name, expectDigest: sha256 })).digest, `sha256:${sha256}`);
});

test('an image of another digest, and one that a required key has not signed, leave nothing', async () => {
  const origin = await serve((_request, answer) => answer.end(image));
  const { world } = setting();
  await world.files.makeFolder('/keys');
  await generateKey({ files: world.files, random: { next: () => 0, bytes: (count) => randomBytes(count) } }, '/keys/k');
  const key = parsePublicKey(new TextDecoder().decode(await world.files.read('/keys/k.pub')));
  assert.ok(key !== undefined);
  const trust: Trust = { keys: [{ ...key, name: 'k' }], required: true };
  const one = setting({ trust });
  await assert.rejects(
    one.store.import({ url: origin.url }, { name, expectDigest: 'a'.repeat(64) }),
    refused('image-invalid', /not the expected/),
  );
  await assert.rejects(one.store.import({ url: origin.url, sha256 }, { name }), refused('image-unsigned', /not signed/));
  assert.deepEqual(left(one.world), []);
  const { file } = await place(world, '/in/disk.raw', image);
  await signFile(world, { file, keyFile: '/keys/k', chunkBytes: limits.chunkBytes });
  const signature = parseSignatureFile(new TextDecoder().decode(await world.files.read('/in/disk.raw.sig')));
  assert.deepEqual((await one.store.import({ url: origin.url, sha256 }, { name, signature })).signedBy, ['k']);
});

test('downloads run side by side, and a slow one stops nobody', async () => {
  const gate = Promise.withResolvers<void>();
  const slow = await serve((_request, answer) => {
    answer.write(image.subarray(0, 1000));
    void gate.promise.then(() => answer.end(image.subarray(1000)));
  });
  const quick = await serve((_request, answer) => answer.end(image));
  const { store, world } = setting();
  const first = store.import({ url: slow.url, sha256 }, { name: 'slow' });
  const second = await store.import({ url: quick.url, sha256 }, { name: 'quick' });
  // What is being downloaded is nobody's rubbish.
  assert.deepEqual(await store.collect(), { images: [], files: 0, bytes: 0 });
  gate.resolve();
  assert.equal((await first).digest, second.digest);
  assert.deepEqual(
    (await store.list()).map((entry) => entry.name),
    ['quick', 'slow'],
  );
  await world.files.makeFolder('/images/.incoming/9');
  await world.files.write('/images/.incoming/9/000000', 'of a process that was killed');
  assert.deepEqual(await store.collect({ dryRun: true }), { images: [], files: 1, bytes: 28 });
  assert.deepEqual(await store.collect(), { images: [], files: 1, bytes: 28 });
  assert.deepEqual(await world.files.list('/images/.incoming'), []);
});

test('called off in the middle: the connection ends, nothing is left', async () => {
  const gone = Promise.withResolvers<void>();
  const origin = await serve((_request, answer) => {
    answer.once('close', () => gone.resolve());
    answer.write(image.subarray(0, 5_000_000));
  });
  const { world, store } = setting();
  const ends = new AbortController();
  const why = new RemudaError('conflict', 'the operator changed his mind');
  const onProgress = ({ doneBytes }: Progress): void => {
    if (doneBytes >= 4_500_000) ends.abort(why);
  };
  await assert.rejects(store.import({ url: origin.url, sha256 }, { name, signal: ends.signal, onProgress }), why);
  await gone.promise;
  assert.deepEqual(left(world), []);
});

test('a disk too small is seen before the download where the length is known, and survived where it is not', async () => {
  const told = await serve((_request, answer) => answer.setHeader('content-length', image.length).end(image));
  const one = setting({ files: { capacityBytes: 66 * 1024 * 1024 } });
  await assert.rejects(
    one.store.import({ url: told.url, sha256 }, { name }),
    refused('disk-full', /room for 2097152 more.*remuda image gc/),
  );
  const untold = await serve((_request, answer) => {
    answer.write(image.subarray(0, 10));
    answer.end(image.subarray(10));
  });
  for (const capacityBytes of [1_000, 5_000_000, 9_000_000, 12_000_000, 15_000_000]) {
    const { store, world } = setting({ files: { capacityBytes } });
    await assert.rejects(store.import({ url: untold.url, sha256 }, { name }), refused('disk-full', /./), String(capacityBytes));
    assert.deepEqual(left(world), []);
    assert.deepEqual(await store.list(), []);
  }
});
