/** Images over the API: list, show, import and verify with progress, remove. */
import { z } from 'zod';
import type { Rack } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import type { Progress } from '../image/read.ts';
import type { Manifest, PhoneHome } from '../image/manifest.ts';
import { parseSignatureFile } from '../image/signature.ts';
import type { SignatureFile } from '../image/signature.ts';
import type { CollectOptions, CollectReport, ImageEntry, ImageSource } from '../image/store.ts';
import type { VerifyReport } from '../image/verify.ts';
import type { HttpReply, HttpRequest } from '../world/world.ts';
import { toImageDetail, toImageJson, toVerifyJson } from './admin-json.ts';
import { items, json, nothing, workReply } from './json.ts';
import { adminRoute } from './route.ts';
import type { AdminReply, AdminRoute, Asked } from './route.ts';
import { collectJson, collectSchema, imageDetailJson, imageJson, importSchema, itemsOf, workLineJson } from './types.ts';

export interface ImportWish {
  readonly name: string;
  readonly phoneHome?: PhoneHome;
  /** Refuse any other image. */
  readonly expectDigest?: string;
  readonly signature?: SignatureFile;
  /** Ends when the client goes away: nobody waits for the import any more. */
  readonly signal: AbortSignal;
}
/** What the API asks of the image store. */
export interface ImageDesk {
  list(): Promise<readonly ImageEntry[]>;
  /** By name or digest; `image-not-found`. */
  find(nameOrDigest: string): Promise<ImageEntry>;
  manifest(digest: string): Promise<Manifest>;
  import(source: ImageSource, wish: ImportWish, onProgress: (progress: Progress) => void): Promise<ImageEntry>;
  verify(digest: string, onProgress: (progress: Progress) => void): Promise<VerifyReport>;
  remove(nameOrDigest: string): Promise<void>;
  collect(options: CollectOptions): Promise<CollectReport>;
}

const imageOf = (request: HttpRequest): string => request.params['image'] ?? '';

const importImage = async (
  images: ImageDesk,
  { request, body, caller }: Asked<z.output<typeof importSchema>, undefined>,
): Promise<AdminReply> => {
  // The daemon reads every file of its machine, and who may claim a host could read the image there.
  if (body.path !== undefined && caller.role !== 'admin')
    throw new RemudaError(
      'forbidden',
      `an import from a file of the daemon's machine needs the role admin, and ${caller.name} has ${caller.role}: bring the image by url`,
      { values: { needs: 'admin', has: caller.role } },
    );
  const { path, url, sha256, name, phoneHome, expectDigest, signature } = body;
  const pinned = sha256 === undefined ? {} : { sha256 };
  const source: ImageSource = url === undefined ? { file: path ?? '', ...pinned } : { url, ...pinned };
  const wish: ImportWish = {
    name,
    ...(phoneHome === undefined ? {} : { phoneHome }),
    ...(expectDigest === undefined ? {} : { expectDigest }),
    ...(signature === undefined ? {} : { signature: parseSignatureFile(signature) }),
    signal: request.signal,
  };
  return workReply(request, async (onProgress) => toImageJson(await images.import(source, wish, onProgress)));
};

/** The last name of an image that a claim wants stays: the claim's host may have to be installed again. */
const remove = async (images: ImageDesk, rack: Rack, wanted: string): Promise<HttpReply> => {
  const entry = await images.find(wanted);
  const isLast = !(await images.list()).some((other) => other.digest === entry.digest && other.name !== entry.name);
  const users = (await rack.hosts()).filter(({ host }) => host.claim?.intent.image === entry.digest).map(({ host }) => host.name);
  if (isLast && users.length > 0)
    throw new RemudaError(
      'conflict',
      `image ${entry.name} is wanted by the claims of ${users.join(', ')}: release or reprovision them first`,
    );
  await images.remove(wanted);
  return nothing;
};

/** Claims are looked at when no import runs any more, and what one of them wants stays. */
const collect = async (images: ImageDesk, rack: Rack, dryRun: boolean): Promise<HttpReply> => {
  const wanted = async (): Promise<ReadonlySet<string>> =>
    new Set((await rack.hosts()).flatMap(({ host }) => (host.claim === null ? [] : [host.claim.intent.image])));
  return json(200, { dryRun, ...(await images.collect({ wanted, dryRun })) });
};

const tag = 'images';
const workLines = { media: 'application/x-ndjson', schema: workLineJson, what: 'Lines of progress, then one with the result or the error' };
const bringRoutes = (images: ImageDesk, rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'listImages',
    method: 'GET',
    path: '/v1/images',
    role: 'viewer',
    summary: 'All images, by name',
    tag,
    replies: { 200: itemsOf(imageJson) },
    handle: async () => items((await images.list()).map(toImageJson)),
  }),
  adminRoute({
    id: 'importImage',
    stays: true,
    method: 'POST',
    path: '/v1/images',
    role: 'operator',
    summary: 'Import an image, with progress; from a file of the daemon\u2019s machine only as admin',
    tag,
    body: importSchema,
    replies: { 200: workLines },
    handle: async (asked) => importImage(images, asked),
  }),
  adminRoute({
    id: 'collectImages',
    method: 'POST',
    path: '/v1/images/collect',
    role: 'operator',
    summary: 'Take away images without a name that no claim wants, and files that no image needs',
    tag,
    body: collectSchema,
    replies: { 200: collectJson },
    handle: ({ body }) => collect(images, rack, body.dryRun),
  }),
  adminRoute({
    id: 'getImage',
    method: 'GET',
    path: '/v1/images/:image',
    role: 'viewer',
    summary: 'One image, by name or digest',
    tag,
    replies: { 200: imageDetailJson },
    handle: async ({ request }) => {
      const entry = await images.find(imageOf(request));
      return json(200, toImageDetail(entry, await images.manifest(entry.digest)));
    },
  }),
];
const keepRoutes = (images: ImageDesk, rack: Rack): readonly AdminRoute[] => [
  adminRoute({
    id: 'verifyImage',
    stays: true,
    method: 'POST',
    path: '/v1/images/:image/verify',
    role: 'operator',
    summary: 'Read all of the image and compare, with progress',
    tag,
    body: z.strictObject({}),
    replies: { 200: workLines },
    handle: async ({ request }) => {
      const { digest } = await images.find(imageOf(request));
      return workReply(request, async (onProgress) => toVerifyJson(await images.verify(digest, onProgress)));
    },
  }),
  adminRoute({
    id: 'removeImage',
    method: 'DELETE',
    path: '/v1/images/:image',
    role: 'operator',
    summary: 'Remove a name, and with the last one the image',
    tag,
    replies: { 204: 'nothing' },
    handle: ({ request }) => remove(images, rack, imageOf(request)),
  }),
];
export const imageRoutes = (images: ImageDesk, rack: Rack): readonly AdminRoute[] => [
  ...bringRoutes(images, rack),
  ...keepRoutes(images, rack),
];
