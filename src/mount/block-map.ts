/** Which 4 KiB blocks of a file live in the overlay: one bit for each, grown as needed. 90 KB for 2.8 GB. */
export const BLOCK = 4096;

export type BlockRun = { readonly first: number; readonly count: number; readonly kept: boolean };

export class BlockMap {
  private bits = new Uint8Array(0);
  private counted = 0;

  /** How many blocks are in the overlay. */
  get count(): number {
    return this.counted;
  }

  has(block: number): boolean {
    return ((this.bits[block >> 3] ?? 0) & (1 << (block & 7))) !== 0;
  }

  /** The part of the range that is not kept, from its first to its last such block; undefined for none. */
  missing(first: number, count: number): { first: number; count: number } | undefined {
    let low = first;
    let high = first + count - 1;
    while (low <= high && this.has(low)) low++;
    while (high > low && this.has(high)) high--;
    return low > high ? undefined : { first: low, count: high - low + 1 };
  }

  add(first: number, count: number): void {
    this.grow(first + count);
    for (let block = first; block < first + count; block++) {
      if (this.has(block)) continue;
      this.bits[block >> 3]! |= 1 << (block & 7);
      this.counted++;
    }
  }

  removeFrom(first: number): void {
    for (let block = first; block < this.bits.length * 8; block++) {
      if ((block & 7) === 0 && this.bits[block >> 3] === 0) {
        block += 7;
        continue;
      }
      if (!this.has(block)) continue;
      this.bits[block >> 3]! &= ~(1 << (block & 7));
      this.counted--;
    }
  }

  /** The range as runs of blocks that are all kept or all not. */
  *runs(first: number, count: number): Generator<BlockRun> {
    for (let at = first; at < first + count; ) {
      const kept = this.has(at);
      let end = at + 1;
      while (end < first + count && this.has(end) === kept) end++;
      yield { first: at, count: end - at, kept };
      at = end;
    }
  }

  private grow(blocks: number): void {
    const bytes = Math.ceil(blocks / 8);
    if (bytes <= this.bits.length) return;
    const grown = new Uint8Array(Math.max(bytes, this.bits.length * 2));
    grown.set(this.bits);
    this.bits = grown;
  }
}
