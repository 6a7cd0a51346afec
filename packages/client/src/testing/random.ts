/** A seeded pseudo-random number generator. */

/** Returns a number from 0 up to, not including, 1. */
export type Random = () => number;

/** mulberry32: the same seed gives the same numbers. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const randomBetween = (random: Random, [min, max]: readonly [number, number]): number => min + random() * (max - min);
