/** Chance, and bytes nobody can guess. */
import { randomBytes } from 'node:crypto';
import type { Random } from './world.ts';

export const realRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
};
