import type { StoragePlace } from '../../src/repository/storage/location.ts';

/** One kind of place. Its ratios are `NAME_first_vs_raw` and `NAME_restore_vs_raw`. */
export type StorageBed = {
  readonly name: string;
  /** An empty place for each round. */
  place(round: number): Promise<StoragePlace>;
  /** Where other programs are measured against: carries the files as they are, and answers seconds. */
  readonly raw?: { put(files: readonly BenchFile[], round: number): Promise<number>; get(files: readonly BenchFile[], to: string, round: number): Promise<number> };
  /** How often the place was asked so far; where asking costs. */
  requests?(): Promise<number>;
};

export type BenchFile = { readonly path: string; readonly from: string; readonly bytes: number };
