/** Chunks by place, compactly: a list of header offsets for each pack, about five bytes for each chunk. */
export type ChunkMarks = {
  readonly size: number;
  /** False when it was there already. */
  add(pack: string, offset: number): boolean;
  has(pack: string, offset: number): boolean;
  count(pack: string): number;
};

export function openChunkMarks(): ChunkMarks {
  const packs = new Map<string, { offsets: Uint32Array; count: number }>();
  let size = 0;
  const holds = (pack: string, offset: number): boolean => {
    const marks = packs.get(pack);
    if (marks === undefined) return false;
    const at = marks.offsets.indexOf(offset);
    return at >= 0 && at < marks.count;
  };
  return {
    get size() {
      return size;
    },
    add(pack, offset) {
      if (holds(pack, offset)) return false;
      let marks = packs.get(pack);
      if (marks === undefined) {
        marks = { offsets: new Uint32Array(8), count: 0 };
        packs.set(pack, marks);
      }
      if (marks.count === marks.offsets.length) {
        const larger = new Uint32Array(marks.offsets.length * 2);
        larger.set(marks.offsets);
        marks.offsets = larger;
      }
      marks.offsets[marks.count++] = offset;
      size += 1;
      return true;
    },
    has: holds,
    count: (pack) => packs.get(pack)?.count ?? 0,
  };
}
