/** IDs of hosts and claims: unguessable enough never to meet, and easy to read out. */
import type { Random } from '../world/world.ts';

/** Without vowels no words appear; without dots an ID stands in a ticket. */
const letters = 'bcdfghjkmnpqrstvwxz23456789bcdfg';

/** 50 bits behind the prefix. */
export const idMaker =
  (random: Pick<Random, 'bytes'>) =>
  (prefix: string): string =>
    prefix + Array.from(random.bytes(10), (byte) => letters[byte & 31]).join('');
