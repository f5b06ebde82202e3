/** The peer of `bench oplog`: carries a range of an oplog through the official driver's cursor, undecoded, to /dev/null, and says what that cost. A process, so that its memory is its own. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { MongoClient, Timestamp } from 'mongodb';
import { timeFromKey } from '../../src/base/cluster-time.ts';

export type CursorJob = { readonly uri: string; readonly after: string; readonly through: string };
export type CursorDone = { readonly seconds: number; readonly cpuSeconds: number; readonly peakRssMiB: number; readonly contents: { readonly entries: number; readonly bytes: number; readonly sha256: string } };

const ENTRIES_AT_ONCE = 20_000;

process.once('message', (job: CursorJob) => {
  void carry(job).then((done) => process.send!(done, () => process.exit(0)));
});

async function carry(job: CursorJob): Promise<CursorDone> {
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  await using client = await new MongoClient(job.uri).connect();
  const counted = await over(client, job, () => {});
  const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(2));
  const { user, system } = process.cpuUsage(startedCpu);
  const peakRssMiB = process.resourceUsage().maxRSS / 1024;
  // What was carried is only looked at in a second reading: the first one pays for nothing but itself.
  const hash = createHash('sha256');
  await over(client, job, (bytes) => void hash.update(bytes));
  return { seconds, cpuSeconds: (user + system) / 1e6, peakRssMiB, contents: { ...counted, sha256: hash.digest('hex') } };
}

async function over(client: MongoClient, { after, through }: CursorJob, see: (bytes: Buffer) => void): Promise<{ entries: number; bytes: number }> {
  const [from, to] = [after, through].map((key) => new Timestamp(timeFromKey(key)));
  const nowhere = openSync('/dev/null', 'w');
  let [entries, bytes] = [0, 0];
  try {
    const cursor = client.db('local').collection('oplog.rs').find({ ts: { $gt: from!, $lte: to! } }, { raw: true, batchSize: ENTRIES_AT_ONCE, readConcern: { level: 'majority' } });
    while (await cursor.hasNext()) {
      const documents = cursor.readBufferedDocuments() as unknown as Uint8Array[];
      const batch = Buffer.concat(documents);
      writeSync(nowhere, batch);
      see(batch);
      entries += documents.length;
      bytes += batch.length;
    }
  } finally {
    closeSync(nowhere);
  }
  return { entries, bytes };
}
