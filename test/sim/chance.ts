/** Seeded chance (splitmix32): one stream per purpose, so that a new draw in one place does not move the draws in another. */
export interface Chance {
  next(): number;
  chance(probability: number): boolean;
  between(low: number, high: number): number;
  bytes(count: number): Uint8Array;
}
export const chanceOf = (seed: number, purpose: string): Chance => {
  let state = seed;
  for (const letter of purpose) state = (Math.imul(state ^ letter.charCodeAt(0), 0x01000193) + 0x9e3779b9) | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    chance: (probability) => next() < probability,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
};
