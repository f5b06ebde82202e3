/** Chance that can be repeated: the seed is printed, and the same seed gives the same run. */
import { randomInt } from 'node:crypto';

export type Chance = {
  readonly seed: number;
  /** A whole number from 0 up to `below`, exclusive. */
  below(below: number): number;
  pick<T>(from: readonly T[]): T;
  bytes(count: number): Buffer;
};

export function chanceFrom(seed = randomInt(2 ** 31)): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (limit: number): number => Math.floor((next() / 0x1_0000_0000) * limit);
  return {
    seed,
    below,
    pick: (from) => from[below(from.length)]!,
    bytes(count) {
      const out = Buffer.allocUnsafe(count);
      for (let k = 0; k < count; k++) out[k] = next() & 0xff;
      return out;
    },
  };
}
