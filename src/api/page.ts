/** Lists in pages: how many, from where on, and where the next page begins. */
import { z } from 'zod';
import { limits } from '../limits.ts';
import type { HttpReply } from '../world/world.ts';
import { json } from './json.ts';

/** `limit` and `cursor` of a list whose cursor is a number. */
const count = z
  .string()
  .regex(/^\d{1,6}$/, 'a number')
  .transform(Number)
  .pipe(z.number().min(1).max(limits.apiPageMax));
export const cursorQuery = z.strictObject({
  limit: count.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'the `next` of the page before')
    .optional(),
});
/** `limit` and `cursor` of a list in the order of names. */
export const pageQuery = z.strictObject({
  /** Without it the whole list comes at once. */
  limit: count.optional(),
  /** `next` of the page before. */
  cursor: z.string().max(512).optional(),
});

const encoded = (key: string): string => Buffer.from(key).toString('base64url');
const decoded = (cursor: string): string => Buffer.from(cursor, 'base64url').toString();

/**
 * The page of `list` after the cursor, in the order of `keyOf`: what is added or removed meanwhile moves no page, because the cursor is
 * a key and not a position.
 */
export const paged = <T>(
  list: readonly T[],
  keyOf: (one: T) => string,
  { limit, cursor }: z.output<typeof pageQuery>,
): { readonly items: readonly T[]; readonly next?: string } => {
  const after = cursor === undefined ? undefined : decoded(cursor);
  const sorted = list.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = after === undefined ? sorted : sorted.filter((one) => keyOf(one) > after);
  const items = rest.slice(0, limit ?? rest.length);
  const last = items.at(-1);
  return items.length === rest.length || last === undefined ? { items } : { items, next: encoded(keyOf(last)) };
};
export const pageReply = <T>(page: { readonly items: readonly T[]; readonly next?: string }, shown: (one: T) => unknown): HttpReply =>
  json(200, { ...page, items: page.items.map(shown) });

/** A page of a list; `next` is the `cursor` of the next question, absent on the last page. */
export const pageOf = <T extends z.ZodType>(item: T): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodOptional<z.ZodString> }> =>
  z.object({ items: z.array(item), next: z.string().optional() });
