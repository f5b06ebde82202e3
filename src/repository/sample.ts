import { randomInt } from 'node:crypto';

export function randomSeed(): number {
  return randomInt(2 ** 31);
}

/** A share of the values, chosen by a seed (xorshift and Fisher and Yates); at least one when the share is above nothing. */
export function sample<T>(values: readonly T[], percent: number, seed: number): T[] {
  if (percent >= 100) return [...values];
  const count = percent <= 0 ? 0 : Math.max(1, Math.round((values.length * percent) / 100));
  const left = [...values];
  let state = (seed | 0) === 0 ? 0x9e3779b9 : seed | 0;
  const chosen: T[] = [];
  while (chosen.length < count && left.length > 0) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const at = (state >>> 0) % left.length;
    chosen.push(left[at]!);
    left[at] = left.at(-1)!;
    left.pop();
  }
  return chosen;
}
