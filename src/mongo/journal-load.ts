/**
 * The archive is written into a copy's own journal, from where WiredTiger's recovery brings it into the oplog when the copy
 * is opened: a moment is reached with one start of mongod instead of two (docs/design/native-replay.md).
 *
 *   look      tables, journal and the copy's own oplog are read from its files; anything unexpected ends it here
 *   compare   copy and archive over what both have, as a load by mongod does
 *   write     the last journal file is cut where recovery would stop to read; what the copy lacks follows there
 *
 * Only for files that are thrown away: oplog collection counts and sizes are not kept true.
 */
import { open } from 'node:fs/promises';
import { BSON } from 'mongodb';
import { compareTimes, earliest, type ClusterTime } from '../base/cluster-time.ts';
import { describe } from '../base/failure.ts';
import { addMissing, type Load, type Loaded } from './archive-load.ts';
import { readCopiedOplog, recordIdOf, type CopiedOplog } from './copied-oplog.ts';
import { readOptime } from './oplog-entry.ts';
import { compareOplogs } from './oplog-comparison.ts';
import { stamp } from './recovery-documents.ts';
import { openDataDirectory, type Table } from './wiredtiger/data-directory.ts';
import { packUint } from './wiredtiger/integers.ts';
import { commitRecord, putRow } from './wiredtiger/journal.ts';

/** WiredTiger counts places in a journal file in 32 bits. */
const mostBytes = 1 << 30;
const recordBytes = 1 << 20;

/** `bytes`: of the entries between checkpoint and target. Answers undefined, with nothing changed, where these files have to be loaded by a mongod, and says why. */
export async function loadIntoJournal(directory: string, load: Load, bytes: number, onLeft: (why: string) => void): Promise<Loaded | undefined> {
  const found = await lookInto(directory, load, bytes).catch((error: unknown) => {
    // What cannot be unpacked, or is not where it is said to be, is not what this version knows.
    const isOther = error instanceof RangeError || error instanceof BSON.BSONError || (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!isOther) throw error;
    return describe(error);
  });
  if (typeof found === 'string') {
    onLeft(found);
    return undefined;
  }
  const { oplog, copied, truncatePoint } = found;
  const own = [...copied.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  const top = readOptime(own.at(-1)!);
  const through = earliest(top, load.target);
  const compared = await compareOplogs(upTo(own, through), load, through);
  await using journal = await openWriter(copied);
  for (const operation of truncatePoint) await journal.add(operation);
  const add = async (entry: Uint8Array): Promise<void> => await journal.add(putRow(oplog, recordIdOf(readOptime(entry)), entry));
  for (const hole of compared.holes) await add(hole);
  const added = await addMissing(load, top, add);
  await journal.flush();
  return { by: 'journal', compared: compared.count, filled: compared.holes.length, last: compared.last, through, ...added };
}

async function* upTo(entries: readonly Buffer[], through: ClusterTime): AsyncGenerator<readonly Buffer[]> {
  yield entries.filter((entry) => compareTimes(readOptime(entry), through) <= 0);
}

type Found = { /** The oplog's file. */ readonly oplog: number; readonly copied: CopiedOplog; /** What tells recovery where to end. */ readonly truncatePoint: readonly Buffer[] };

const oplogName = 'local.oplog.rs';
const pointName = 'local.replset.oplogTruncateAfterPoint';

/** Answers why not, where anything is not as this version knows it. */
async function lookInto(directory: string, { checkpoint, target }: Load, bytes: number): Promise<Found | string> {
  if (bytes > mostBytes) return `${(bytes / 1e6).toFixed(0)} MB of entries are more than a journal file takes`;
  await using data = await openDataDirectory(directory);
  const tables = await data?.tables([oplogName, pointName, `${pointName} _id_`]);
  if (data === undefined || tables === undefined) return 'its catalogue is not one that this version reads';
  if ([...tables.values()].some((table) => !table.isJournaled)) return 'its oplog is not journaled';
  const oplog = tables.get(oplogName)!;
  const truncatePoint = await pointAt(target, tables);
  if (truncatePoint === undefined) return 'its truncate point is not where it is expected';
  const copied = await readCopiedOplog(data, oplog, checkpoint);
  if (copied === undefined) return 'its journal is of another kind, or has more entries above the checkpoint than are read so';
  return { oplog: oplog.fileId, copied, truncatePoint };
}

const pointId = 'oplogTruncateAfterPoint';
const firstRecord = packUint(1);
/** A string as the key of an index, and record 1 as its value (key_string.cpp). */
const pointKey = Buffer.from(`\x3c${pointId}\0\x04`, 'latin1');
const pointValue = Buffer.from([0x00, 0x08]);

/** The collection's only document, in place of the one that a copy of a primary brings along. */
async function pointAt(target: ClusterTime, tables: ReadonlyMap<string, Table>): Promise<Buffer[] | undefined> {
  const [point, index] = [tables.get(pointName)!, tables.get(`${pointName} _id_`)!];
  for await (const { key, value, ends } of point.rows()) {
    if (ends || !key.equals(firstRecord) || BSON.deserialize(value)['_id'] !== pointId) return undefined;
  }
  const document = BSON.serialize({ _id: pointId, oplogTruncateAfterPoint: stamp(target) });
  return [putRow(point.fileId, firstRecord, document), putRow(index.fileId, pointKey, pointValue)];
}

type JournalWriter = AsyncDisposable & { add(operation: Buffer): Promise<void>; flush(): Promise<void> };

async function openWriter({ journal, end }: CopiedOplog): Promise<JournalWriter> {
  const file = await open(journal, 'r+');
  await file.truncate(end);
  let [at, bytes] = [end, 0];
  let operations: Buffer[] = [];
  const flush = async (): Promise<void> => {
    const record = commitRecord(operations);
    // A disk that fills up takes a part, and says so when it is asked again.
    for (let done = 0; done < record.length; ) done += (await file.write(record, done, record.length - done, at + done)).bytesWritten;
    at += record.length;
    [operations, bytes] = [[], 0];
  };
  return {
    async add(operation) {
      operations.push(operation);
      bytes += operation.length;
      if (bytes >= recordBytes) await flush();
    },
    flush,
    [Symbol.asyncDispose]: async () => await file.close(),
  };
}
