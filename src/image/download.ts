/** Download: a file is fetched by HTTP(S) into pieces on disk, resumed where the connection broke, and is not looked at before its hash is right. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { RemudaError, codeOf, reasonOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { HttpBody, World } from '../world/world.ts';
import { pieceBytes } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { refuseOtherHash } from './import.ts';
import type { Progress } from './read.ts';
import { checkUrl, shown } from './source-policy.ts';
import type { SourcePolicy } from './source-policy.ts';

export interface UrlSource {
  readonly url: string;
  /** Of the file as it is downloaded, in hex, with or without `sha256:`. */
  readonly sha256?: string;
}
export type DownloadWorld = Pick<World, 'files' | 'log' | 'clock'> & { readonly http: Pick<World['http'], 'get'> };
export type DownloadLimits = Pick<Limits, 'imageBytesMax' | 'imageSilenceMs' | 'imageTries' | 'imageRedirects'>;

export interface DownloadJob {
  readonly source: UrlSource;
  /** An empty folder for the pieces; the caller takes it away. */
  readonly folder: string;
  readonly policy: SourcePolicy;
  readonly limits: DownloadLimits;
  /** The bytes, or the image in them, will be compared with a hash. */
  readonly pinned: boolean;
  /** The image will be refused unless a trusted key has signed it. */
  readonly signed: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** Each file of a download, but the last one, is this long. */
const spoolBytes = 4 * 1024 * 1024;
const retryMs = 1_000;
/** So much of a disk stays free for the database beside the images. */
const reserveBytes = 64 * 1024 * 1024;

const failed = (url: URL, what: string, cause?: unknown): RemudaError =>
  new RemudaError('source-failed', `${shown(url)} ${what}`, cause === undefined ? {} : { cause });

/** Nobody stands between us and the file unseen: a hash, or TLS and a signature, or the operator's word for TLS alone. Throws `source-refused`. */
const checkPinned = (url: URL, { pinned, signed, policy }: DownloadJob): void => {
  if (pinned || (url.protocol === 'https:' && (signed || policy.allowUnpinned))) return;
  const remedy = 'give its SHA-256 (--sha256 of the file, or --digest of the image)';
  const other = url.protocol === 'https:' ? ', or a signature, or set images.sources.allowUnpinned' : '';
  throw new RemudaError('source-refused', `${shown(url)} could be changed on its way or where it lies: ${remedy}${other}`);
};

/** The bytes so far, in files of one length; the last ones are held until they make a file. */
class Spool {
  readonly #world: DownloadWorld;
  readonly #job: DownloadJob;
  readonly #tail = Buffer.alloc(spoolBytes);
  #hash: Hash = createHash('sha256');
  #filled = 0;
  #files = 0;

  constructor(world: DownloadWorld, job: DownloadJob) {
    this.#world = world;
    this.#job = job;
  }
  get sizeBytes(): number {
    return this.#files * spoolBytes + this.#filled;
  }
  /** Whether anything new is on disk since there were so many files. */
  get files(): number {
    return this.#files;
  }
  #path(index: number): string {
    return `${this.#job.folder}/${String(index).padStart(6, '0')}`;
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(bytes.length - at, spoolBytes - this.#filled);
      this.#tail.set(bytes.subarray(at, at + count), this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === spoolBytes) await this.#flush();
    }
  }
  async #flush(): Promise<void> {
    await this.#world.files.write(this.#path(this.#files), this.#tail.subarray(0, this.#filled));
    this.#files++;
    this.#filled = 0;
  }
  /** From the start again; the files are written over. */
  restart(): void {
    this.#hash = createHash('sha256');
    this.#filled = 0;
    this.#files = 0;
  }
  /** The whole as a source, and its SHA-256 in hex. */
  async finish(name: string): Promise<{ readonly bytes: ByteSource; readonly sha256: string }> {
    const sizeBytes = this.sizeBytes;
    if (this.#filled > 0) await this.#flush();
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      const parts: Uint8Array[] = [];
      for (let at = offset; at < offset + length;) {
        const within = at % spoolBytes;
        const count = Math.min(spoolBytes - within, offset + length - at);
        const part = await this.#world.files.read(this.#path((at - within) / spoolBytes), { offset: within, length: count });
        if (part.length !== count) throw new RemudaError('internal', `the download of ${name} became shorter on disk`);
        parts.push(part);
        at += count;
      }
      return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts);
    };
    return { bytes: { name, sizeBytes, read }, sha256: this.#hash.digest('hex') };
  }
}

/** RFC 9110 §8.8.1: only a strong validator, or a date, says that the rest belongs to what we have. */
const validatorOf = ({ headers }: HttpBody): string | undefined => {
  const { etag, 'last-modified': modified } = headers;
  return etag !== undefined && !etag.startsWith('W/') ? etag : modified;
};
/** RFC 9110 §14.4. */
const rangeOf = ({ headers }: HttpBody): { readonly start: number; readonly total: number } | undefined => {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
  return start === undefined ? undefined : { start: Number(start), total: Number(total) };
};
const lengthOf = ({ headers }: HttpBody): number | undefined => {
  const text = headers['content-length'] ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
};

/** One download: what it knows between two connections. */
class Download {
  readonly #world: DownloadWorld;
  readonly #job: DownloadJob;
  readonly #spool: Spool;
  #url: URL;
  #validator: string | undefined;
  #totalBytes: number | undefined;

  constructor(world: DownloadWorld, job: DownloadJob) {
    this.#world = world;
    this.#job = job;
    this.#spool = new Spool(world, job);
    this.#url = checkUrl(job.source.url);
  }

  async run(): Promise<ByteSource> {
    const { limits, signal, source } = this.#job;
    checkPinned(this.#url, this.#job);
    for (let tries = 1; ; tries++) {
      const before = this.#spool.files;
      try {
        await this.#connect();
        break;
      } catch (error) {
        signal?.throwIfAborted();
        if (codeOf(error) !== 'source-failed' || (error instanceof RemudaError && error.values['final'] === true)) throw error;
        if (this.#spool.files > before) tries = 1;
        if (tries >= limits.imageTries)
          throw new RemudaError('source-failed', `${reasonOf(error)}; gave up after ${tries} tries with ${this.#spool.sizeBytes} bytes`, {
            cause: error,
          });
        this.#world.log.warn('a download broke; trying again', {
          url: shown(this.#url),
          haveBytes: this.#spool.sizeBytes,
          reason: reasonOf(error),
        });
        await this.#world.clock.sleep(retryMs * tries, signal);
      }
    }
    const { bytes, sha256 } = await this.#spool.finish(shown(checkUrl(source.url)));
    if (source.sha256 !== undefined) refuseOtherHash(bytes.name, sha256, source.sha256);
    return bytes;
  }

  /** One connection, after the redirects, until the file is whole. */
  async #connect(): Promise<void> {
    const answer = await this.#answer();
    try {
      await this.#prepare(answer);
      let room = this.#job.limits.imageBytesMax - this.#spool.sizeBytes;
      for await (const chunk of answer.chunks) {
        this.#job.signal?.throwIfAborted();
        room -= chunk.length;
        if (room < 0) throw this.#tooLarge();
        for (let at = 0; at < chunk.length; at += pieceBytes) await this.#spool.add(chunk.subarray(at, at + pieceBytes));
        this.#tell();
      }
    } finally {
      answer.close();
    }
    if (this.#totalBytes !== undefined && this.#spool.sizeBytes !== this.#totalBytes)
      throw failed(this.#url, `sent ${this.#spool.sizeBytes} bytes instead of ${this.#totalBytes}`);
  }

  #tell(): void {
    const total = this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes };
    this.#job.onProgress?.({ step: 'download', doneBytes: this.#spool.sizeBytes, ...total });
  }

  /** Each redirect begins at the URL that was asked for: a mirror that went away is asked for anew. Every URL is checked like the first. */
  async #answer(): Promise<HttpBody> {
    const { limits, policy, signal, source } = this.#job;
    const have = this.#spool.sizeBytes;
    const resume = have > 0 && this.#validator !== undefined ? { range: `bytes=${have}-`, 'if-range': this.#validator } : {};
    this.#url = checkUrl(source.url);
    for (let hops = 0; ; hops++) {
      const request = {
        url: this.#url.href,
        headers: { 'user-agent': 'remuda', accept: '*/*', 'accept-encoding': 'identity', connection: 'close', ...resume },
        silenceMs: limits.imageSilenceMs,
        refuses: policy.refuses,
        ...(signal === undefined ? {} : { signal }),
      };
      const answer = await this.#world.http.get(request);
      if (![301, 302, 303, 307, 308].includes(answer.status)) return answer;
      answer.close();
      const to = answer.headers['location'];
      if (hops >= limits.imageRedirects || to === undefined)
        throw new RemudaError(
          'source-refused',
          `${shown(this.#url)} redirects ${to === undefined ? 'nowhere' : `more than ${limits.imageRedirects} times`}`,
        );
      this.#url = checkUrl(URL.parse(to, this.#url)?.href ?? to);
      checkPinned(this.#url, this.#job);
    }
  }

  /** Reads the head of the answer: whether it goes on where we are, and how long the whole is. */
  async #prepare(answer: HttpBody): Promise<void> {
    const { status, headers } = answer;
    const have = this.#spool.sizeBytes;
    const range = status === 206 ? rangeOf(answer) : undefined;
    if (status !== 200 && range === undefined) throw this.#refusedStatus(status);
    if ((headers['content-encoding'] ?? 'identity') !== 'identity')
      throw new RemudaError(
        'source-failed',
        `${shown(this.#url)} sends the file packed by ${headers['content-encoding']} though it was asked not to`,
        { values: { final: true } },
      );
    if (range !== undefined && (range.start !== have || (this.#totalBytes !== undefined && range.total !== this.#totalBytes))) {
      this.#spool.restart();
      throw failed(this.#url, 'sent another part of the file than it was asked for');
    }
    if (range === undefined && have > 0) this.#spool.restart();
    this.#totalBytes = range?.total ?? lengthOf(answer);
    this.#validator = validatorOf(answer);
    if ((this.#totalBytes ?? 0) > this.#job.limits.imageBytesMax) throw this.#tooLarge();
    const free = (await this.#world.files.freeBytes(this.#job.folder)) - reserveBytes;
    const needed = (this.#totalBytes ?? 0) - this.#spool.sizeBytes;
    if (this.#totalBytes !== undefined && needed > free)
      throw new RemudaError(
        'disk-full',
        `${shown(this.#url)} has ${this.#totalBytes} bytes, and the disk has room for ${Math.max(0, free)} more: remove images, or run: remuda image gc`,
      );
  }

  /** RFC 9110 §15: what may pass by itself, and what will not. */
  #refusedStatus(status: number): RemudaError {
    // 416: the file has changed and is shorter now.
    if (status === 416) this.#spool.restart();
    const passes = status === 408 || status === 416 || status === 429 || status >= 500;
    return new RemudaError('source-failed', `${shown(this.#url)} answers ${status}`, {
      values: { status, ...(passes ? {} : { final: true }) },
    });
  }
  #tooLarge(): RemudaError {
    return new RemudaError(
      'too-large',
      `${shown(this.#url)} has more than ${this.#job.limits.imageBytesMax} bytes, the most that is accepted; if that is right, raise limits.imageBytesMax`,
    );
  }
}

/**
 * Fetches the file into the folder and checks its hash. Throws `source-refused` (scheme, address, redirect, no hash), `source-failed`,
 * `too-large`, `disk-full`, and `image-invalid` where it has another hash.
 */
export const download = (world: DownloadWorld, job: DownloadJob): Promise<ByteSource> =>
  Promise.resolve().then(() => new Download(world, job).run());
