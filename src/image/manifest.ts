/** The manifest: what an image is made of, in the order of its bytes. The image's identity is the digest of its raw bytes; names only point to it. */
import { z } from 'zod';
import { RemudaError } from '../errors.ts';
import { isDigest, isSha256 } from './digest.ts';

const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const dataChunk = z.strictObject({
  /** SHA-256 of the chunk's raw bytes, in hex: its name in the store. */
  sha256: z.string().refine(isSha256, 'is no SHA-256 in lower-case hex'),
  sizeBytes: bytes.positive(),
  /** How long its file in the store is. */
  storedBytes: bytes.positive(),
  encoding: z.enum(['zstd', 'raw']),
});
/** A run of zero bytes, which is neither stored nor sent. */
const zeroChunk = z.strictObject({ zero: z.literal(true), sizeBytes: bytes.positive() });

const schema = z.strictObject({
  format: z.literal(1),
  digest: z.string().refine(isDigest, 'is no sha256: digest'),
  sizeBytes: bytes.positive(),
  /** Every chunk is this long, except the last one, which may be shorter. */
  chunkBytes: bytes.positive(),
  chunks: z.array(z.union([dataChunk, zeroChunk])).min(1),
  arch: z.literal('x86_64'),
  firmware: z.array(z.enum(['bios', 'uefi'])).max(2),
  /** Where a NoCloud file system is written for each host; null where the image has no place for it. */
  seed: z.strictObject({ offsetBytes: bytes.positive(), sizeBytes: bytes.positive() }).nullable(),
  /** Who in the installed system calls home: the image's own first-boot program, cloud-init, or nobody. */
  phoneHome: z.enum(['image', 'cloud-init', 'none']),
});

export type Manifest = z.infer<typeof schema>;
export type Chunk = Manifest['chunks'][number];
export type DataChunk = z.infer<typeof dataChunk>;
export type PhoneHome = Manifest['phoneHome'];
export type Firmware = Manifest['firmware'][number];

export const isZeroChunk = (chunk: Chunk): chunk is z.infer<typeof zeroChunk> => 'zero' in chunk;

/** What the image's chunks occupy in the store, in bytes; a chunk that occurs twice is stored once. */
export const storedBytesOf = (manifest: Manifest): number => {
  const sizes = new Map<string, number>();
  for (const chunk of manifest.chunks) if (!isZeroChunk(chunk)) sizes.set(chunk.sha256, chunk.storedBytes);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
};

/** One line per chunk, so that a person can read it and a diff can show it. */
export const encodeManifest = (manifest: Manifest): string => {
  const { chunks, ...head } = manifest;
  const lines = chunks.map((chunk) => `    ${JSON.stringify(chunk)}`).join(',\n');
  return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "chunks": [\n${lines}\n  ]\n}\n`;
};

/** Throws `image-invalid` with the place of the first fault. */
export const parseManifest = (text: string): Manifest => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RemudaError('image-invalid', 'the manifest is not JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'has the wrong shape'}`);
  }
  const fault = contradiction(parsed.data);
  if (fault !== undefined) throw invalid(fault);
  return parsed.data;
};
const invalid = (what: string): RemudaError => new RemudaError('image-invalid', `the manifest is invalid: ${what}`);

/** What the shape alone cannot refuse. */
const contradiction = ({ chunks, chunkBytes, sizeBytes, seed }: Manifest): string | undefined => {
  let sum = 0;
  for (const [index, chunk] of chunks.entries()) {
    const last = index === chunks.length - 1;
    if (last ? chunk.sizeBytes > chunkBytes : chunk.sizeBytes !== chunkBytes) return `chunks.${index}.sizeBytes does not fit chunkBytes`;
    if (!isZeroChunk(chunk) && (chunk.encoding === 'raw') !== (chunk.storedBytes === chunk.sizeBytes))
      return `chunks.${index}.storedBytes contradicts its encoding`;
    if (!isZeroChunk(chunk) && chunk.storedBytes > chunk.sizeBytes) return `chunks.${index} is stored larger than it is`;
    sum += chunk.sizeBytes;
  }
  if (sum !== sizeBytes) return `the chunks hold ${sum} bytes, sizeBytes says ${sizeBytes}`;
  if (seed !== null && seed.offsetBytes + seed.sizeBytes > sizeBytes) return 'the seed lies outside the image';
  return undefined;
};
