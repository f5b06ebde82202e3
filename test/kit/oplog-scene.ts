/** Entries and slices of an archived oplog, for tests that shorten, merge and copy it. */
import assert from 'node:assert/strict';
import { compareTimes, showTime, type ClusterTime, type Optime } from '../../src/base/cluster-time.ts';
import type { Archive, OplogBatch } from '../../src/repository/archive.ts';

export const time = (t: number, i = 1, term = 1): Optime => ({ t, i, term });

/** An entry as an oplog has it: { op, o: { x }, ts, t }. */
export function entry(at: Optime, padding = ''): Buffer {
  const o = Buffer.alloc(4 + 3 + 4 + padding.length + 1 + 1);
  o.writeInt32LE(o.length);
  o.write('\x02x\x00', 4, 'latin1');
  o.writeInt32LE(padding.length + 1, 7);
  o.write(padding, 11, 'latin1');
  const ts = Buffer.alloc(12);
  ts.write('\x11ts\x00', 0, 'latin1');
  ts.writeUInt32LE(at.i, 4);
  ts.writeUInt32LE(at.t, 8);
  const term = Buffer.alloc(11);
  term.write('\x12t\x00', 0, 'latin1');
  term.writeBigInt64LE(BigInt(at.term), 3);
  const body = Buffer.concat([Buffer.from('\x02op\x00\x02\x00\x00\x00i\x00', 'latin1'), Buffer.from('\x03o\x00', 'latin1'), o, ts, term, Buffer.alloc(1)]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(body.length + 4);
  return Buffer.concat([size, body]);
}

export function batchOf(times: readonly Optime[], padding = ''): OplogBatch {
  return { first: times[0]!, last: times.at(-1)!, count: times.length, bytes: Buffer.concat(times.map((at) => entry(at, padding))) };
}

/** One slice for each of these moments, behind what the chain holds; each has three entries, the last of them at the moment. */
export async function writeSlices(archive: Archive, chain: string, moments: readonly number[], padding = ''): Promise<void> {
  const writer = await archive.oplog.openChainWriter(chain, 'a:1');
  try {
    for (const t of moments) {
      writer.append(batchOf([time(t, 1), time(t, 2), time(t, 3)], padding));
      await writer.flush();
    }
  } finally {
    await writer.close();
  }
}

export async function readAll(archive: Archive, chain: string, after: ClusterTime, through: ClusterTime): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of archive.oplog.read(chain, after, through)) parts.push(bytes);
  return Buffer.concat(parts);
}

/** Fails unless the chain is proved from its start to its end, and no object of the archive is damaged. */
export async function requireSound(archive: Archive, where: string): Promise<void> {
  const report = await archive.check({ readDataPercent: 100, workers: 0 });
  assert.deepEqual([report.damage, report.hurtOplog], [[], []], where);
  for (const { id, start } of (await archive.oplog.chains()).chains) {
    let at: ClusterTime = start.after;
    for (const { after, through } of await archive.oplog.slices(id)) {
      assert.equal(showTime(after), showTime(at), where);
      assert.ok(compareTimes(through, after) > 0, where);
      at = through;
    }
  }
}
