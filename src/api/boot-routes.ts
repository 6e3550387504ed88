/** The boot listener: what firmware, agents and installed systems may ask. Its routes and those of the admin listener have nothing in common. */
import { gzipSync } from 'node:zlib';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { bootScript } from '../boot/script.ts';
import type { Desk, Caller } from '../control/desk.ts';
import type { ImageStore } from '../image/store.ts';
import type { Ipv4 } from '../wire/address.ts';
import type { HttpReply, HttpRequest, Route } from '../world/world.ts';
import { ZodError } from 'zod';

/** A file of the agent's ramdisk, named by its hash. */
export interface BootFile {
  readonly sha256: string;
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}
export interface BootDeps {
  readonly desk: Desk;
  readonly images: Pick<ImageStore, 'chunkFile'>;
  readonly files: { readonly kernel: BootFile; readonly initrd: BootFile };
  readonly limits: Limits;
  readonly fingerprint: string;
  readonly httpPort: number;
  readonly agentPort: number;
  readonly kernelArguments: string;
  /** For the timeline: a request of a client at this address. */
  readonly observe: (peer: Ipv4 | undefined, text: string) => void;
}

const json = (value: unknown): HttpReply => ({ status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
const nothing: HttpReply = { status: 204 };
const notFound = (what: string): RemudaError => new RemudaError('not-found', `there is no ${what}`);

/** The body as JSON for a schema of the desk; what is not JSON is a bad request, as is what the schema refuses. */
const bodyOf = ({ body }: HttpRequest): unknown => {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch (cause) {
    throw new RemudaError('bad-request', 'the body is not JSON', { cause });
  }
};
const judged = async <T>(act: () => Promise<T>): Promise<T> => {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ZodError)) throw error;
    const issue = error.issues[0];
    throw new RemudaError('bad-request', `${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'does not fit'}`, { cause: error });
  }
};

/** What the installed OS says of itself, by the token of its generation. */
const homeRoutes = ({ desk }: BootDeps): readonly Route[] => [
  {
    method: 'POST',
    path: '/phone-home/:token',
    bodyBytesMax: 16 * 1024,
    handle: async ({ params, body }) => {
      // cloud-init and the tiny image both post a form (WHATWG application/x-www-form-urlencoded).
      const form = new URLSearchParams(Buffer.from(body).toString('utf8'));
      await desk.phoneHome(params['token'] ?? '', form.get('hostname') ?? '');
      return nothing;
    },
  },
  {
    method: 'POST',
    path: '/phone-home/:token/failed',
    bodyBytesMax: 16 * 1024,
    // The end of a log as it is: what was cut in the middle of a character is no reason to refuse it.
    handle: async ({ params, body }) => {
      await desk.bootstrapFailed(params['token'] ?? '', Buffer.from(body).toString('utf8'));
      return nothing;
    },
  },
];

/** Plain HTTP: scripts by ticket, the ramdisk and image chunks by content hash, phone-home by token. */
export const bootRoutes = (deps: BootDeps, local: Ipv4): readonly Route[] => {
  const { desk, images, files, observe } = deps;
  const httpBase = `http://${local}:${deps.httpPort}`;
  return [
    {
      method: 'GET',
      path: '/boot/:ticket',
      handle: ({ params, peer }) =>
        Promise.resolve().then(() => {
          const ticket = params['ticket'] ?? '';
          const host = desk.hostOfTicket(ticket, peer, 'script');
          observe(peer, 'boot script fetched');
          const parts = {
            hostName: host.name,
            boot: host.boot?.number ?? 0,
            ticket,
            httpBase,
            agentBase: `https://${local}:${deps.agentPort}`,
            fingerprint: deps.fingerprint,
            kernel: files.kernel.sha256,
            initrd: files.initrd.sha256,
            extraArguments: deps.kernelArguments,
          };
          return {
            status: 200,
            headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
            body: bootScript(parts),
          };
        }),
    },
    {
      method: 'GET',
      path: '/files/:sha256/:name',
      handle: ({ params, peer }) =>
        Promise.resolve().then(() => {
          const file = [files.kernel, files.initrd].find((one) => one.sha256 === params['sha256'] && one.name === params['name']);
          if (file === undefined) throw notFound(`boot file ${params['name'] ?? ''}`);
          observe(peer, `${file.name} fetched (${(file.sizeBytes / 1024 / 1024).toFixed(1)} MiB)`);
          return {
            status: 200,
            headers: { 'content-type': 'application/octet-stream' },
            body: { file: file.path, offset: 0, length: file.sizeBytes },
          };
        }),
    },
    {
      method: 'GET',
      path: '/chunks/:sha256',
      handle: async ({ params }) => {
        const body = await images.chunkFile(params['sha256'] ?? '');
        if (body === undefined) throw notFound('such chunk');
        return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body };
      },
    },
    ...homeRoutes(deps),
  ];
};

/** All that an agent says is short, but for the hardware that it found. */
const wordsBytesMax = 64 * 1024;
const post = (path: string, act: (request: HttpRequest) => Promise<HttpReply>, bodyBytesMax = wordsBytesMax): Route => ({
  method: 'POST',
  path,
  bodyBytesMax,
  handle: (request) => judged(() => act(request)),
});
/** TLS 1.3: the agent's calls, each with the boot credential. */
export const agentRoutes = ({ desk, limits }: BootDeps, local: Ipv4): readonly Route[] => {
  const caller = ({ headers }: HttpRequest): Caller => {
    const [, credential] = /^Bearer (\S{1,256})$/.exec(headers['authorization'] ?? '') ?? [];
    if (credential === undefined) throw new RemudaError('credential-invalid', 'a boot credential is needed; redeem the ticket first');
    return { credential, local };
  };
  return [
    post('/agent/redeem', async (request) => json(await desk.redeem(bodyOf(request), request.peer))),
    post(
      '/agent/inventory',
      async (request) => {
        await desk.inventory(caller(request), bodyOf(request));
        return nothing;
      },
      limits.httpBodyBytes,
    ),
    post('/agent/next', async (request) => json(await desk.next(caller(request), request.signal))),
    post('/agent/progress', async (request) => {
      await desk.progress(caller(request), bodyOf(request));
      return nothing;
    }),
    post('/agent/seed', async (request) => {
      const seed = await desk.seed(caller(request), bodyOf(request));
      const headers = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' };
      // Mostly zeros, and an agent without hardware for AES would decrypt them all.
      const packs = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
      return packs
        ? { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: gzipSync(seed) }
        : { status: 200, headers, body: seed };
    }),
    post('/agent/report', async (request) => json(await desk.report(caller(request), bodyOf(request)))),
  ];
};
