/**
 * Replay by commands: the second way to a moment, which shares no code of mongod's recovery with the first.
 *
 * The archive is applied to a standalone mongod that is empty, or at the moment `after`: documents as insert, update and
 * delete over several connections (replay-lanes.ts), everything else one by one with nothing beside it:
 *
 *   create, drop, dropDatabase, renameCollection, collMod, emptycapped      applyOps, with their UUIDs
 *   writes to system.views                                                  applyOps: they change the catalogue
 *   createIndexes, commitIndexBuild, dropIndexes, collMod of an index       kept, built at the end (replay-indexes.ts)
 *   startIndexBuild, abortIndexBuild, dbCheck, noops, config, FCV, keys     passed over
 *
 * Everything fits or it ends: an update or delete that finds no document means that base or archive are wrong.
 *
 * Not promised: speed with many commands, or a target that can be looked at before the end.
 */
import { systemClock, type Clock } from '../base/clock.ts';
import { compareTimes, type ClusterTime, type Optime } from '../base/cluster-time.ts';
import { asBuffer, fieldOf, fieldsOf, textOf } from './bson-bytes.ts';
import { field, wrap } from './bson-writer.ts';
import { startMongod, type Mongod } from './mongod.ts';
import { openOpMsg, type OpMsg } from './op-msg.ts';
import type { OplogBatch } from './oplog-batch.ts';
import { barrierOf, entriesOf, type OplogEntry } from './oplog-entry.ts';
import { commandReplayDiverged, commandReplayRefused } from './replay-failures.ts';
import { createIndexesCommand, listed, openIndexBook, withoutFirst, type IndexBook } from './replay-indexes.ts';
import { applyOne, openLanes } from './replay-lanes.ts';
import { firstName, openUnfolding, type Operation } from './replay-operations.ts';
import { readShapes, type Shapes } from './replay-shapes.ts';

export type CommandReplayOptions = {
  /** Of a standalone mongod without access control: see startReplayTarget. */
  readonly socket: string;
  /** What the target holds already; without it the target is empty and the batches are from the beginning of the set. */
  readonly after?: ClusterTime;
  readonly connections?: number;
};

export type CommandReplay = AsyncDisposable & {
  /**
   * Applies entries, in the order of the archive. Those at or before `after` only complete transactions that reach over it.
   * Nothing is to be looked at before `settle`.
   */
  apply(
    batch: OplogBatch,
    limits?: { readonly through?: ClusterTime; readonly atMost?: number; readonly signal?: AbortSignal },
  ): Promise<'all' | 'ended'>;
  /** The target is as the set was after the last entry, indexes included. Later batches may follow. */
  settle(): Promise<CommandReplayed>;
};

export type CommandReplayed = {
  readonly entries: number;
  readonly operations: number;
  readonly transactions: number;
  /** Transactions that had begun and not ended: nothing of them was applied. */
  readonly unfinished: number;
  readonly indexes: number;
  /** Updates that only mongod's own diff could express. */
  readonly byDiff: number;
  readonly last: Optime | undefined;
};

export async function openCommandReplay(options: CommandReplayOptions): Promise<CommandReplay> {
  const wires = await openWires(options.socket, options.connections ?? 4);
  const target = await openTarget(wires.all, options);
  const unfolding = openUnfolding();
  let [entries, operations] = [0, 0];
  let last: Optime | undefined;
  const take = async (entry: OplogEntry): Promise<void> => {
    if (options.after !== undefined && compareTimes(entry.at, options.after) <= 0) return unfolding.remember(entry);
    const why = barrierOf(entry);
    if (why !== undefined) throw commandReplayRefused({ at: entry.at, what: entry.first ?? entry.op, why });
    for (const operation of unfolding.take(entry)) {
      operations++;
      await target.apply(operation);
    }
    entries++;
    last = entry.at;
  };
  return {
    apply: async (batch, limits = {}) => {
      limits.signal?.throwIfAborted();
      for (const entry of entriesOf(batch.bytes)) {
        if (limits.through !== undefined && compareTimes(entry.at, limits.through) > 0) return 'ended';
        if (operations >= (limits.atMost ?? Infinity)) return 'ended';
        await take(entry);
      }
      return 'all';
    },
    settle: async () => {
      const indexes = await target.settle();
      const { transactions, open: unfinished } = unfolding;
      return { entries, operations, transactions, unfinished, indexes, byDiff: target.byDiff(), last };
    },
    [Symbol.asyncDispose]: async () => await wires[Symbol.asyncDispose](),
  };
}

export type WholeReplay = CommandReplayOptions & {
  readonly batches: AsyncIterable<OplogBatch>;
  readonly through?: ClusterTime;
  /** Ends after so many operations: only to measure. */
  readonly atMost?: number;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
};

/** All in one go. */
export async function replayByCommands(options: WholeReplay): Promise<CommandReplayed & { readonly seconds: number }> {
  const { clock = systemClock, through, atMost, signal } = options;
  const startedMs = clock.monotonicMs();
  await using replay = await openCommandReplay(options);
  for await (const batch of options.batches)
    if ((await replay.apply(batch, { through, atMost, signal })) === 'ended') break;
  const done = await replay.settle();
  return { ...done, seconds: (clock.monotonicMs() - startedMs) / 1000 };
}

/** An empty standalone mongod on a private socket that deletes nothing by itself. */
export async function startReplayTarget(options: {
  binary: string;
  dbPath: string;
  socketDir: string;
  logPath: string;
  cacheGb?: number;
  args?: readonly string[];
  signal?: AbortSignal;
}): Promise<Mongod & { readonly socket: string }> {
  const parameters = [
    'ttlMonitorEnabled=false',
    'disableLogicalSessionCacheRefresh=true',
    'diagnosticDataCollectionEnabled=false',
  ];
  const args = [
    ...parameters.flatMap((name) => ['--setParameter', name]),
    '--wiredTigerCacheSizeGB',
    String(options.cacheGb ?? 1),
    ...(options.args ?? []),
  ];
  const mongod = await startMongod({ ...options, args });
  return { ...mongod, socket: 'socket' in mongod.address ? mongod.address.socket : '' };
}

async function openWires(socket: string, count: number): Promise<AsyncDisposable & { readonly all: readonly OpMsg[] }> {
  const all = await Promise.all(Array.from({ length: count }, async () => await openOpMsg(socket)));
  return {
    all,
    [Symbol.asyncDispose]: async () => void (await Promise.all(all.map(async (wire) => await wire.close()))),
  };
}

type Target = { apply(operation: Operation): Promise<void>; settle(): Promise<number>; byDiff(): number };

async function openTarget(wires: readonly OpMsg[], { after }: CommandReplayOptions): Promise<Target> {
  const [wire] = wires as [OpMsg];
  const lanes = openLanes(wires);
  const book = openIndexBook();
  const shapes = await readShapes(wire, after === undefined ? undefined : book);
  let built: readonly string[] = [];
  const apply = async (operation: Operation): Promise<void> => {
    if (isPassedOver(operation)) return;
    if (built.length > 0) {
      await dropIndexes(wire, built, shapes);
      built = [];
    }
    if (operation.op === 'c' || operation.ns.endsWith('.system.views')) {
      await lanes.flush();
      return operation.op === 'c' ? await command(wire, operation, book, shapes) : await applyOne(wire, operation);
    }
    await lanes.write(operation, shapes.isOrdered(operation.ui));
  };
  const settle = async (): Promise<number> => {
    await lanes.flush();
    if (built.length === 0) built = await buildIndexes(wire, book, shapes);
    return [...book.all()].reduce((sum, [, specifications]) => sum + specifications.length, 0);
  };
  return { apply, settle, byDiff: () => lanes.counts.byDiff };
}

/** What belongs to one installation and not to its data. */
function isPassedOver({ op, ns, o }: Operation): boolean {
  if (
    ns.startsWith('config.') ||
    ns.startsWith('local.') ||
    ns === 'admin.system.version' ||
    ns === 'admin.system.keys'
  )
    return true;
  if (op !== 'c') return op !== 'i' && op !== 'u' && op !== 'd';
  const name = firstName(o);
  const collection = ns === 'admin.$cmd' ? textOf(o, name) : undefined;
  return collection === 'system.version' || collection === 'system.keys' || PASSED_OVER.has(name);
}
const PASSED_OVER = new Set([
  'startIndexBuild',
  'abortIndexBuild',
  'dbCheck',
  'dropIdent',
  'setMultikeyMetadata',
  'createIdent',
  'truncateRange',
]);

async function command(wire: OpMsg, operation: Operation, book: IndexBook, shapes: Shapes): Promise<void> {
  const { o, at, ns, ui = '' } = operation;
  const name = firstName(o);
  const db = ns.slice(0, ns.indexOf('.'));
  switch (name) {
    case 'createIndexes':
      return book.add(ui, withoutFirst(o));
    case 'commitIndexBuild':
      for (const specification of listed(o, 'indexes')) book.add(ui, specification);
      return;
    case 'dropIndexes':
    case 'deleteIndexes':
    case 'dropIndex':
    case 'deleteIndex':
      return book.drop(ui, o);
    case 'collMod':
      return await modifyCollection(wire, operation, book);
    case 'create':
      shapes.created(ui, db, textOf(o, name) ?? '', o);
      return await applyOne(wire, { ...operation, o: without(o, ['o2', 'recordIdsReplicated']) });
    case 'drop':
      shapes.dropped(ui);
      book.forget(ui);
      return await applyOne(wire, operation);
    case 'dropDatabase':
      for (const gone of shapes.droppedDatabase(db)) book.forget(gone);
      return await applyOne(wire, operation);
    case 'renameCollection': {
      const target = fieldOf(o, 'dropTarget');
      const replaced =
        target?.type === 5 ? asBuffer(o).toString('hex', target.value + 5, target.value + target.size) : undefined;
      if (replaced !== undefined) {
        shapes.dropped(replaced);
        book.forget(replaced);
      }
      shapes.renamed(ui, textOf(o, 'to') ?? '');
      return await applyOne(wire, operation);
    }
    case 'emptycapped':
      return await applyOne(wire, operation);
    default:
      throw commandReplayRefused({ at, what: name, why: 'it has no form that a client may send' });
  }
}

/** The part about an index changes the book, the rest is applied. */
async function modifyCollection(wire: OpMsg, operation: Operation, book: IndexBook): Promise<void> {
  const { o, ui = '', at } = operation;
  const index = fieldOf(o, 'index');
  if (index === undefined) return await applyOne(wire, operation);
  if (!book.modify(ui, o.subarray(index.value, index.value + index.size))) {
    throw commandReplayDiverged({ at, ns: operation.ns, why: 'collMod names an index that does not exist' });
  }
  const rest = without(o, ['index']);
  if ([...fieldsOf(rest)].length > 1) await applyOne(wire, { ...operation, o: rest });
}

function without(document: Uint8Array, names: readonly string[]): Uint8Array {
  const kept = [...fieldsOf(document)].filter(({ name }) => !names.includes(name));
  return wrap(...kept.map(({ name, type, value, size }) => field(type, name, document.subarray(value, value + size))));
}

/** Answers the collections that have secondary indexes now. */
async function buildIndexes(wire: OpMsg, book: IndexBook, shapes: Shapes): Promise<string[]> {
  const built: string[] = [];
  for (const [collection, specifications] of book.all()) {
    const shape = shapes.of(collection);
    if (shape === undefined) continue;
    await wire.run(createIndexesCommand(shape.name, shape.db, specifications, shape.collated));
    built.push(collection);
  }
  return built;
}

async function dropIndexes(wire: OpMsg, collections: readonly string[], shapes: Shapes): Promise<void> {
  for (const shape of collections.map((collection) => shapes.of(collection))) {
    if (shape !== undefined) await wire.run({ dropIndexes: shape.name, index: '*', $db: shape.db });
  }
}
