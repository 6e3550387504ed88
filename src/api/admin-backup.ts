/** A backup over the API: the archive as it is made. */
import { z } from 'zod';
import { adminRoute } from './route.ts';
import type { AdminReply, AdminRoute, Ending } from './route.ts';

/** Makes an archive of the daemon's database, and of its images where asked. */
export type MakeBackup = (options: { readonly images: boolean }) => AsyncGenerator<Uint8Array>;

const backupQuery = z.strictObject({ images: z.enum(['true', 'false']).default('true') });

const headers = { 'content-type': 'application/x-tar', 'cache-control': 'no-store' };
/** The first piece is made before the answer begins, so that a refusal keeps its status. */
const archive = async (pieces: AsyncGenerator<Uint8Array>, signal: AbortSignal): Promise<AdminReply> => {
  const first = await pieces.next();
  const over = Promise.withResolvers<Ending>();
  // Also where nobody ever reads: the copy of the database is removed.
  const leave = async (): Promise<void> => {
    await pieces.return(undefined);
    over.resolve({ outcome: 'left' });
  };
  signal.addEventListener('abort', () => void leave().catch((thrown: unknown) => over.resolve({ thrown })), { once: true });
  const body = async function* (): AsyncGenerator<Uint8Array> {
    try {
      if (first.done !== true) {
        yield first.value;
        yield* pieces;
      }
      over.resolve({ outcome: 'ok' });
    } catch (thrown) {
      over.resolve({ thrown });
      throw thrown;
    } finally {
      await leave();
    }
  };
  return { status: 200, headers, body: body(), over: over.promise };
};

export const backupRoutes = (backup: MakeBackup): readonly AdminRoute[] => [
  adminRoute({
    id: 'getBackup',
    method: 'GET',
    path: '/v1/backup',
    role: 'admin',
    summary: 'A backup of the daemon while it serves: database, and images unless images=false; the key is not in it',
    tag: 'daemon',
    query: backupQuery,
    replies: { 200: { media: 'application/x-tar', what: 'A tar archive that ends with SHA256SUMS; one without it is not whole' } },
    stays: true,
    isRecorded: true,
    handle: async ({ request, query: { images } }) =>
      // Nobody reads the body of an answer to HEAD.
      request.method === 'HEAD' ? { status: 200, headers } : archive(backup({ images: images === 'true' }), request.signal),
  }),
];
