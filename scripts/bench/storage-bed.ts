import type { StoragePlace } from '../../src/repository/storage/location.ts';

/** One kind of place. Its ratios are `NAME_first_vs_raw` and `NAME_restore_vs_raw`, and the same with `_durable` where the tool syncs nothing. */
export type StorageBed = {
  readonly name: string;
  /** An empty place for each round. */
  place(round: number): Promise<StoragePlace>;
  /** What we are measured against: carries the files as they are. */
  readonly raw?: { put(files: readonly BenchFile[], round: number): Promise<Carried>; get(files: readonly BenchFile[], to: string, round: number): Promise<Carried> };
  /** How often the place was asked so far; where asking costs. */
  requests?(): Promise<number>;
};

/** `syncSeconds`: from the tool's end until what it wrote is on the disk, as ours is; 0 where it syncs by itself. */
export type Carried = { readonly seconds: number; readonly syncSeconds: number };

export type BenchFile = { readonly path: string; readonly from: string; readonly bytes: number };
