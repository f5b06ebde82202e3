import type { Optime } from '../base/cluster-time.ts';

/** Consecutive oplog entries as mongod gave them: concatenated BSON documents, byte for byte. */
export type OplogBatch = {
  readonly first: Optime;
  readonly last: Optime;
  readonly count: number;
  readonly bytes: Uint8Array;
};
