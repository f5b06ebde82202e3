/**
 * Start 1 of a native replay: the archive is brought into the oplog of a copy.
 *
 * Order, and why:
 *   1. compare    copy and archive over what both have. All forward reads come before the first insert: a standalone
 *                 makes a forward read wait for entries above the old top
 *   2. fill       entries the archive has and the copy lacks, below its top; recovery would pass over them in silence
 *   3. append     (top, target], in messages of the archive's own bytes
 *
 * Done again on the same files it changes nothing: entries that an earlier run loaded are equal but for the `_id` that
 * mongod put in front of them.
 */
import { ObjectId, type Collection, type Document, type MongoClient } from 'mongodb';
import { isFailure } from '../base/failure.ts';
import { compareTimes, earliest, showTime, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { justBefore } from '../domain/oplog-chain.ts';
import { splitDocuments } from './bson-bytes.ts';
import { boolean, field, int32, text, wrap } from './bson-writer.ts';
import { openOpMsg, type OpMsg } from './op-msg.ts';
import { compareOplogs, type Comparison } from './oplog-comparison.ts';
import { readEntry, readOptime, type OplogEntry } from './oplog-entry.ts';
import { stamp } from './recovery-documents.ts';
import { noopAt } from './replay-selection.ts';
import { replayCopyIncomplete, replayEntryTooLarge, replayLoadFailed } from './replay-failures.ts';

export type Load = Comparison & {
  readonly target: ClusterTime;
  /** Entries in whose place a no-op is appended. */
  readonly leavesOut?: (entry: OplogEntry) => boolean;
};

export type Loaded = {
  /** Inserted by a mongod that was started for it, or written into the files before any was. */
  readonly by: 'mongod' | 'journal';
  readonly compared: number;
  readonly filled: number;
  readonly appended: number;
  /** Of those appended, no-ops in place of what is not needed. */
  readonly leftOut: number;
  /** The newest entry at or before the target, after: where recovery must end. */
  readonly last: Optime;
  /** Where the comparison ended: the copy's own newest entry, or the target. */
  readonly through: ClusterTime;
};

const batchDocuments = 5_000;
const batchBytes = 16 << 20;
const userBytes = 16 << 20;

export async function loadArchive(client: MongoClient, socket: string, load: Load): Promise<Loaded> {
  const oplog = client.db('local').collection('oplog.rs');
  const { oldest, top } = await endsOf(oplog);
  if (oldest === undefined || top === undefined || compareTimes(oldest, load.checkpoint) > 0) {
    throw replayCopyIncomplete({ checkpoint: load.checkpoint, oldest: oldest ?? null });
  }
  const through = earliest(top, load.target);
  const compared = await compareOplogs(ownEntries(oplog, load.checkpoint, through), load, through);
  await using one = await openOpMsg(socket);
  await using two = await openOpMsg(socket);
  const loader = openLoader([one, two]);
  for (const hole of compared.holes) await loader.add(hole);
  await loader.flush();
  const added = await addMissing(load, top, async (entry) => await loader.add(entry));
  await loader.flush();
  return { by: 'mongod', compared: compared.count, filled: compared.holes.length, last: compared.last, through, ...added };
}

/** Hands over what the archive has after the copy's top, up to the target. `last` only where there is anything. */
export async function addMissing(load: Load, top: ClusterTime, add: (entry: Uint8Array) => Promise<void>): Promise<Pick<Loaded, 'appended' | 'leftOut'> & { last?: Optime }> {
  let [appended, leftOut] = [0, 0];
  let last: Uint8Array | undefined;
  const range = compareTimes(top, load.target) < 0 ? load.archive(top, load.target) : [];
  for await (const batch of range) {
    load.signal?.throwIfAborted();
    for (const document of splitDocuments(batch.bytes)) {
      const entry = load.leavesOut === undefined ? undefined : readEntry(document);
      const isLeftOut = entry !== undefined && load.leavesOut!(entry);
      await add(isLeftOut ? noopAt(entry) : document);
      if (isLeftOut) leftOut++;
      appended++;
      last = document;
    }
  }
  return { appended, leftOut, ...(last === undefined ? {} : { last: readOptime(last) }) };
}

async function endsOf(oplog: Collection): Promise<{ oldest: Optime | undefined; top: Optime | undefined }> {
  const one = async (direction: 1 | -1): Promise<Optime | undefined> => {
    const [bytes] = await oplog.find<Buffer>({}, { raw: true, sort: { $natural: direction }, limit: 1 }).toArray();
    return bytes === undefined ? undefined : readOptime(bytes);
  };
  return { oldest: await one(1), top: await one(-1) };
}

/** From the last entry at or before the checkpoint, which every recovery needs, through `through`. */
export async function* ownEntries(oplog: Collection, checkpoint: ClusterTime, through: ClusterTime): AsyncGenerator<readonly Buffer[]> {
  const options = { raw: true, sort: { $natural: -1 }, limit: 1 } as const;
  const [start] = await oplog.find<Buffer>({ ts: { $lte: stamp(checkpoint) } }, options).toArray();
  if (start === undefined) return;
  const range = { ts: { $gte: stamp(readOptime(start)), $lte: stamp(through) } };
  const cursor = oplog.find<Buffer>(range, { raw: true, batchSize: batchDocuments, sort: { $natural: 1 } });
  try {
    while (await cursor.hasNext()) yield cursor.readBufferedDocuments();
  } finally {
    await cursor.close();
  }
}

type Loader = { add(document: Uint8Array): Promise<void>; flush(): Promise<void> };

/** Inserts are under way over all connections while the next is gathered; the oplog orders its entries by their time. */
function openLoader(wires: readonly OpMsg[]): Loader {
  const under = wires.map(async () => {});
  let turn = 0;
  let pending: Uint8Array[] = [];
  let bytes = 0;
  let count = 0;
  const send = async (): Promise<void> => {
    const documents = pending;
    if (documents.length === 0) return;
    pending = [];
    bytes = 0;
    turn = (turn + 1) % wires.length;
    await under[turn];
    under[turn] = insert(wires[turn]!, documents).then(() => {
      count += documents.length;
    });
    under[turn]!.catch(() => {});
  };
  const flush = async (): Promise<void> => {
    await send();
    await Promise.all(under);
  };
  return {
    add: async (document) => {
      if (document.length > userBytes) {
        await flush();
        await insertLarge(wires[0]!, document);
        count++;
        return;
      }
      if (pending.length === batchDocuments || bytes + document.length > batchBytes) await send();
      pending.push(document);
      bytes += document.length;
    },
    flush,
  };
}

async function insert(wire: OpMsg, documents: readonly Uint8Array[]): Promise<void> {
  const reply = await wire.run({ insert: 'oplog.rs', ordered: true, $db: 'local' }, { field: 'documents', documents });
  const [first] = (reply['writeErrors'] ?? []) as Document[];
  if (first === undefined && reply['n'] === documents.length) return;
  throw replayLoadFailed({
    at: readOptime(documents[Number(first?.['index'] ?? reply['n'] ?? 0)] ?? documents[0]!),
    why: String(first?.['errmsg'] ?? `${reply['n']} of ${documents.length} taken`),
  });
}

/**
 * An entry above 16 MB is what mongod writes for a document just below it. `insert` refuses it (servers before 7.0.6 have
 * no way around), `applyOps` takes it if it has an `_id`, which `insert` would have given it as well. Without `allowAtomic:
 * false` mongod aborts (6.0.5: abandonSnapshot in a unit of work).
 */
async function insertLarge(wire: OpMsg, entry: Uint8Array): Promise<void> {
  const id = Buffer.concat([Buffer.from([7]), Buffer.from('_id\0'), new ObjectId().id]);
  const document = Buffer.concat([int32(entry.length + id.length), id, entry.subarray(4)]);
  const operation = wrap(text('op', 'i'), text('ns', 'local.oplog.rs'), field(3, 'o', document));
  const command = wrap(
    field(4, 'applyOps', wrap(field(3, '0', operation))),
    boolean('allowAtomic', false),
    text('$db', 'admin'),
  );
  try {
    await wire.run(command);
  } catch (error) {
    if (!isFailure(error)) throw error;
    const at = readOptime(entry);
    throw replayEntryTooLarge({ at, bytes: entry.length, why: error.message, lastSafe: justBefore(at) }, error);
  }
}

/** For messages. */
export function showLoaded({ by, compared, filled, appended, leftOut, last }: Loaded): string {
  const without = leftOut === 0 ? '' : ` (${leftOut} of them are not needed, and left out)`;
  const into = by === 'journal' ? ' to the journal' : '';
  return `${compared} entries compared, ${filled} filled, ${appended} appended${into}${without}, up to ${showTime(last)}`;
}
