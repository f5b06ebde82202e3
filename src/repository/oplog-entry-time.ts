/**
 * The time of an oplog entry, found in its bytes: enough to cut a block at a moment, and all this room knows of BSON.
 *
 * BSON: int32 length, then (type byte, name, 0, value)*, 0.
 */
import type { ClusterTime } from '../base/cluster-time.ts';

const timestamp = 0x11;
const int64 = 0x12;

/** Bytes of values that always have the same size, by type. */
const fixed = new Map([[0x01, 8], [0x06, 0], [0x07, 12], [0x08, 1], [0x09, 8], [0x0a, 0], [0x10, 4], [0x11, 8], [0x12, 8], [0x13, 16], [0x7f, 0], [0xff, 0]]);

export type EntryTime = { readonly at: ClusterTime; readonly term: number; readonly from: number; readonly bytes: number };

/** Each document's `ts` and `t`, in order; undefined when the bytes are not oplog entries. */
export function entryTimes(batch: Buffer): EntryTime[] | undefined {
  const found: EntryTime[] = [];
  for (let from = 0; from < batch.length; ) {
    if (batch.length - from < 5) return undefined;
    const bytes = batch.readInt32LE(from);
    if (bytes < 5 || from + bytes > batch.length) return undefined;
    const time = timeOf(batch.subarray(from, from + bytes));
    if (time === undefined) return undefined;
    found.push({ ...time, from, bytes });
    from += bytes;
  }
  return found;
}

function timeOf(entry: Buffer): { at: ClusterTime; term: number } | undefined {
  let at: ClusterTime | undefined;
  let term = -1;
  for (let cursor = 4; cursor < entry.length - 1; ) {
    const type = entry[cursor]!;
    const end = entry.indexOf(0, cursor + 1);
    if (end < 0) return undefined;
    const value = end + 1;
    const size = valueBytes(entry, type, value);
    if (size === undefined || value + size > entry.length) return undefined;
    const nameBytes = end - cursor - 1;
    if (type === timestamp && nameBytes === 2 && entry.toString('latin1', cursor + 1, end) === 'ts') at = { t: entry.readUInt32LE(value + 4), i: entry.readUInt32LE(value) };
    if (type === int64 && nameBytes === 1 && entry[cursor + 1] === 0x74) term = Number(entry.readBigInt64LE(value));
    cursor = value + size;
  }
  return at === undefined ? undefined : { at, term };
}

function valueBytes(entry: Buffer, type: number, at: number): number | undefined {
  const always = fixed.get(type);
  if (always !== undefined) return always;
  if (at + 4 > entry.length && type !== 0x0b) return undefined;
  switch (type) {
    case 0x02:
    case 0x0d:
    case 0x0e:
      return 4 + entry.readInt32LE(at);
    case 0x03:
    case 0x04:
    case 0x0f:
      return entry.readInt32LE(at);
    case 0x05:
      return 5 + entry.readInt32LE(at);
    case 0x0c:
      return 4 + entry.readInt32LE(at) + 12;
    case 0x0b: {
      const first = entry.indexOf(0, at);
      const second = first < 0 ? -1 : entry.indexOf(0, first + 1);
      return second < 0 ? undefined : second + 1 - at;
    }
    default:
      return undefined;
  }
}
