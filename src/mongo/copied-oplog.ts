/**
 * The oplog that a copy brings along, from its checkpoint on, read from its files as WiredTiger's recovery will read them:
 * the rows of the checkpoint, then what the journal puts over them.
 */
import { Timestamp } from 'mongodb';
import { open } from 'node:fs/promises';
import type { ClusterTime } from '../base/cluster-time.ts';
import type { DataDirectory, Table } from './wiredtiger/data-directory.ts';
import { packUint } from './wiredtiger/integers.ts';
import { isEmptyFrom, isJournal, operationsOn, readRecords } from './wiredtiger/journal.ts';

export type CopiedOplog = {
  /** By record id, in latin1. The entry at the checkpoint is one of them. */
  readonly entries: Map<string, Buffer>;
  /** The last file of the journal, and where in it recovery stops to read. */
  readonly journal: string;
  readonly end: number;
};

/** What a mongod writes between two checkpoints is seldom more; a copy with more is loaded by a mongod. */
const mostBytes = 64 << 20;
const mostEntries = 200_000;

/** The oplog's record ids are the times of its entries. */
export function recordIdOf({ t, i }: ClusterTime): Buffer {
  return packUint(new Timestamp({ t, i }).toBigInt());
}

/** Undefined, or a RangeError, where the files are not as this version knows them, or more than it reads. */
export async function readCopiedOplog(data: DataDirectory, oplog: Table, checkpoint: ClusterTime): Promise<CopiedOplog | undefined> {
  const from = recordIdOf(checkpoint);
  const entries = new Map<string, Buffer>();
  let bytes = 0;
  const take = (key: Buffer, value: Buffer): boolean => {
    if (key.compare(from) < 0) return true;
    entries.set(key.toString('latin1'), Buffer.from(value));
    bytes += value.length;
    return bytes <= mostBytes && entries.size <= mostEntries;
  };
  for await (const { key, value, ends } of oplog.rows(from)) if (ends || !take(key, value)) return undefined;
  const parts = await data.journal();
  if (parts === undefined) return undefined;
  let end = 0;
  for (const [k, { path, from: offset }] of parts.entries()) {
    await using file = await open(path, 'r');
    if (!(await isJournal(file))) return undefined;
    end = offset;
    for await (const record of readRecords(file, offset)) {
      end = record.end;
      for (const operation of operationsOn(oplog.fileId, record)) {
        // The oldest entries are taken away all the time. Whatever else is done to an oplog is not for this room.
        const isKnown = operation.kind === 'put' ? take(operation.key, operation.value) : operation.kind === 'truncate' && operation.through.length > 0 && operation.through.compare(from) < 0;
        if (!isKnown) return undefined;
      }
    }
    // Recovery reads no file behind one whose end it does not know.
    if (k < parts.length - 1 && !(await isEmptyFrom(file, end))) return undefined;
  }
  return entries.has(from.toString('latin1')) ? { entries, journal: parts.at(-1)!.path, end } : undefined;
}
