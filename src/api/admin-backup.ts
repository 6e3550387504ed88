/** A backup over the API: the archive as it is made. */
import { z } from 'zod';
import { adminRoute } from './route.ts';
import type { AdminRoute } from './route.ts';

/** Makes an archive of the daemon's database, and of its images where asked. */
export type MakeBackup = (options: { readonly images: boolean }) => AsyncGenerator<Uint8Array>;

const backupQuery = z.strictObject({ images: z.enum(['true', 'false']).default('true') });

/** The first piece is made before the answer begins, so that a refusal keeps its status. */
async function* after(first: IteratorResult<Uint8Array, unknown>, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* rest;
  } finally {
    // Also when the client goes away: the copy of the database is removed.
    await rest.return(undefined);
  }
}

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
    handle: async ({ query: { images } }) => {
      const pieces = backup({ images: images === 'true' });
      const first = await pieces.next();
      return { status: 200, headers: { 'content-type': 'application/x-tar', 'cache-control': 'no-store' }, body: after(first, pieces) };
    },
  }),
];
