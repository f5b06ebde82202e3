/**
 * Where frames of packs that go are now. A sweep may move hundreds of gigabytes, with sixteen frames in each MiB, so each takes some fifty bytes: its
 * place is three numbers in one list, found by its pack and offset. Not its hash: whoever refers to a frame has it.
 */
export type MovedFrame = { readonly how: 'plain' | 'zstd'; readonly pack: string; readonly offset: number; readonly bytes: number };

export type MovedFrames = {
  get(pack: string, offset: number): MovedFrame | undefined;
  set(pack: string, offset: number, now: MovedFrame): void;
};

const words = 3;

export function openMovedFrames(): MovedFrames {
  /** By pack, because one map of all of them has an end at 2^24. */
  const from = new Map<string, Map<number, number>>();
  const packs: string[] = [];
  let places = new Uint32Array(words * 1024);
  let count = 0;
  return {
    get(pack, offset) {
      const at = from.get(pack)?.get(offset);
      if (at === undefined) return undefined;
      const [number, now, size] = places.subarray(at * words, (at + 1) * words) as unknown as [number, number, number];
      return { how: size % 2 === 1 ? 'zstd' : 'plain', pack: packs[number]!, offset: now, bytes: size >>> 1 };
    },
    set(pack, offset, { how, pack: now, offset: there, bytes }) {
      const known = from.get(pack) ?? new Map<number, number>();
      from.set(pack, known.set(offset, count));
      // Packs are written one behind the other.
      if (packs.at(-1) !== now) packs.push(now);
      if (places.length < (count + 1) * words) {
        const larger = new Uint32Array(places.length * 2);
        larger.set(places);
        places = larger;
      }
      places.set([packs.length - 1, there, bytes * 2 + (how === 'zstd' ? 1 : 0)], count * words);
      count += 1;
    },
  };
}
