/** What is remembered of one re-image, in an annotation of the BareMetalMachine: written before anything is done, so that a crash finds its way. */
import { z } from 'zod';
import type { KubeApi } from '../api.ts';
import { fieldManager, ours } from '../names.ts';
import { kinds } from '../objects.ts';
import type { Key, KubeObject } from '../objects.ts';

const recordShape = z.object({
  /** The wish that it serves; another wish is another re-image. */
  for: z.string().max(256),
  /** Generation of the claim before it: a later one means that it has begun. */
  from: z.number().int(),
  /** ID of the join token; its secret stands only in the workload cluster. */
  token: z.string().regex(/^[a-z0-9]{6}$/),
  /** When it was wished for; a drain's time runs from here. */
  at: z.number(),
  /** The Node that goes with the old image, and the boot that it told last. */
  node: z.string().max(64).optional(),
  boot: z.string().max(64).optional(),
});
export type ReimageRecord = z.infer<typeof recordShape>;

/** undefined where there is none, or none that we wrote. */
export const recordOf = (infra: KubeObject): ReimageRecord | undefined => {
  const text = infra.metadata.annotations?.[ours.reimage];
  if (text === undefined) return undefined;
  try {
    return recordShape.safeParse(JSON.parse(text)).data;
  } catch {
    // Somebody else's words: as if there were none, and ours are written over them.
    return undefined;
  }
};
/** Refused with 409 where the object changed since it was read: another of us was first. */
export const writeRecord = async (api: KubeApi, infra: KubeObject, key: Key, record: ReimageRecord | null): Promise<void> => {
  const { uid, resourceVersion } = infra.metadata;
  await api.patch(
    kinds.bareMetalMachine,
    key,
    { metadata: { annotations: { [ours.reimage]: record === null ? null : JSON.stringify(record) } } },
    { fieldManager, ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  );
};
