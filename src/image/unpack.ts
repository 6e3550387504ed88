/** Compressed images become raw ones, piece by piece: zstd and gzip by Node, xz by xz-embedded in WebAssembly. Memory is bounded whatever the stream says. */
import { Readable, pipeline } from 'node:stream';
import type { Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import xzDecompress from 'xz-decompress';
import { RemudaError, reasonOf } from '../errors.ts';
import { pieceBytes, piecesOf } from './bytes.ts';
import type { ByteSource } from './bytes.ts';
import { xzUnpackedBytes } from './xz-end.ts';

export const packings = ['zstd', 'gzip', 'xz'] as const;
export type Packing = (typeof packings)[number];

/** 128 MiB, what zstd itself takes without `--long`. */
const zstdWindowLogMax = 27;

interface NodeUnpacker {
  readonly make: () => Transform & { readonly bytesWritten: number };
  /** What the library says of a stream that ends in the middle. */
  readonly cutOff: RegExp;
}
const nodeUnpackers: Readonly<Record<Exclude<Packing, 'xz'>, NodeUnpacker>> = {
  zstd: {
    make: () => createZstdDecompress({ chunkSize: pieceBytes, params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax } }),
    cutOff: /unexpected end/,
  },
  gzip: { make: () => createGunzip({ chunkSize: pieceBytes }), cutOff: /unexpected end/ },
};
/** Error codes of xz-embedded (xz.h, `enum xz_ret`), of which the library tells the number. */
const xzErrors: Readonly<Record<string, string>> = {
  '4': 'needs more than 64 MiB of memory to unpack; pack it by: xz -9 (or with a smaller --lzma2=dict)',
  '6': 'uses a filter or a checksum that is not known here; pack it by: xz --check=crc64',
  '7': 'is damaged',
  '8': 'ends too early; it was cut off',
};

const failed = (source: ByteSource, packing: Packing, what: string, cause?: unknown): RemudaError =>
  new RemudaError('image-invalid', `the ${packing} stream in ${source.name} ${what}`, cause === undefined ? {} : { cause });

/** How many bytes the source unpacks to, where its format says so in a place that can be trusted. Throws `image-invalid`. */
export const unpackedBytes = (source: ByteSource, packing: Packing): Promise<number | undefined> =>
  packing === 'xz' ? xzUnpackedBytes(source) : Promise.resolve(undefined);

/** The unpacked bytes from their start. Throws `image-invalid` where the stream is damaged, cut off, or followed by something else. */
export const unpack = (source: ByteSource, packing: Packing): AsyncIterable<Uint8Array> =>
  packing === 'xz' ? unpackXz(source) : unpackByNode(source, packing);

/** Node has no synchronous streaming decompression, so this one step runs in its thread pool; the order of the bytes does not depend on it. */
async function* unpackByNode(source: ByteSource, packing: Exclude<Packing, 'xz'>): AsyncGenerator<Uint8Array> {
  const { make, cutOff } = nodeUnpackers[packing];
  const unpacker = make();
  let failure: unknown;
  pipeline(Readable.from(piecesOf(source), { objectMode: false }), unpacker, (error) => (failure ??= error));
  try {
    for await (const piece of unpacker as AsyncIterable<Uint8Array>) yield piece;
  } catch (error) {
    if (error instanceof RemudaError) throw error;
    const reason = reasonOf(error);
    throw failed(source, packing, cutOff.test(reason) ? 'ends too early; it was cut off' : `is damaged (${reason})`, failure ?? error);
  }
  // What follows the last frame and is no frame itself would be dropped in silence.
  if (unpacker.bytesWritten !== source.sizeBytes)
    throw failed(source, packing, `ends at byte ${unpacker.bytesWritten}, but the file has ${source.sizeBytes} bytes`);
}

/** The library unpacks one stream at a time in the whole process; the next one waits until this one is read or left. */
async function* unpackXz(source: ByteSource): AsyncGenerator<Uint8Array> {
  const total = await xzUnpackedBytes(source);
  let sourceFailure: unknown;
  const pieces = piecesOf(source);
  const packed = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const next = await pieces.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      } catch (error) {
        sourceFailure = error;
        throw error;
      }
    },
    cancel: async () => void (await pieces.return(undefined)),
  });
  const reader = new xzDecompress.XzReadableStream(packed).getReader();
  let count = 0;
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      count += value.length;
      if (value.length > 0) yield value;
    }
    ended = true;
  } catch (error) {
    ended = true;
    if (error instanceof RemudaError) throw error;
    if (sourceFailure !== undefined) throw sourceFailure;
    const [, number = ''] = /error code (\d+)/.exec(reasonOf(error)) ?? [];
    throw failed(source, 'xz', xzErrors[number] ?? (error instanceof TypeError ? 'ends too early; it was cut off' : 'is damaged'), error);
  } finally {
    if (!ended) await leave(reader);
  }
  if (count !== total) throw failed(source, 'xz', `unpacks to ${count} bytes, but its index says ${total}`);
}

/** The library fails to be left where it has come to its end already and holds nothing any more, which only it knows. */
const leave = async (reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> => {
  try {
    await reader.cancel();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
};
