/** Reproducible random numbers (sfc32): the same parts give the same sequence, so any batch can be made alone. */
export type Random = {
  readonly u32: () => number;
  readonly next: () => number;
  readonly int: (below: number) => number;
  readonly pick: <T>(from: readonly T[]) => T;
  /** A skewed draw: the first ones are much more frequent than the last. */
  readonly skewed: <T>(from: readonly T[]) => T;
  readonly hex: (bytes: number) => string;
  readonly bytes: (count: number) => Buffer;
};

export function openRandom(...parts: readonly (string | number)[]): Random {
  const u32 = sequence(parts.join('|'));
  const next = (): number => u32() / 4_294_967_296;
  const hex = (bytes: number): string => {
    let text = '';
    while (text.length < bytes * 2) text += u32().toString(16).padStart(8, '0');
    return text.slice(0, bytes * 2);
  };
  return {
    u32,
    next,
    int: (below) => (next() * below) | 0,
    pick: (from) => from[(next() * from.length) | 0]!,
    skewed: (from) => from[(from.length * next() ** 3) | 0]!,
    hex,
    bytes: (count) => {
      const made = Buffer.alloc(Math.ceil(count / 4) * 4);
      for (let at = 0; at < made.length; at += 4) made.writeUInt32LE(u32(), at);
      return made.subarray(0, count);
    },
  };
}

function sequence(seed: string): () => number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < seed.length; at++) hash = Math.imul(hash ^ seed.charCodeAt(at), 0x01000193);
  let [a, b, c, d] = [hash | 0, Math.imul(hash, 0x9e3779b1) | 0, ~hash | 0, 1];
  const u32 = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let k = 0; k < 12; k++) u32();
  return u32;
}

/** The seed of a run: the one given, or one from the clock, which the run prints. */
export function chooseSeed(given: string | undefined): string {
  return given ?? String(Date.now() % 1_000_000);
}
