/**
 * Oplog entries, read from their bytes.
 *
 * Only what decisions need is looked at: ts, t, op, ns, ui, wall, the first key of `o` (a command's name) and the marks of
 * a session. Nothing is decoded and encoded again, so an entry leaves as the bytes it came in.
 *
 * A barrier is an entry that a replay cannot be trusted to cross: moments behind it need a base taken behind it.
 */
import type { Optime } from '../base/cluster-time.ts';
import type { OplogBatch } from './oplog-batch.ts';
import { afterName, asBuffer, BINARY, DATE, DOCUMENT, documentSize, fieldOf, firstKey, INT32, INT64, readLong, STRING, textOf, TIMESTAMP, valueSize } from './bson-bytes.ts';
import { oplogDamaged } from './failures.ts';

export type OplogEntry = {
  readonly at: Optime;
  /** i, u, d, n, c, or what newer servers add. */
  readonly op: string;
  readonly ns: string;
  /** The collection's UUID as 32 hex digits. */
  readonly ui: string | undefined;
  /** The wall clock of the primary in milliseconds since 1970. */
  readonly wallMs: number | undefined;
  /** The first key of `o`: the command's name when `op` is c. */
  readonly first: string | undefined;
  /** It belongs to a session: a retryable write or a transaction. */
  readonly session: boolean;
  /** `multiOpType`: 1 marks a retryable batched insert that only looks like a transaction. */
  readonly multiOpType: number;
  readonly bytes: Uint8Array;
};

/** Reads one entry that starts at `from`; `bytes` of the answer is a view, not a copy. */
export function readEntry(source: Uint8Array, from = 0): OplogEntry {
  const buffer = asBuffer(source);
  const end = from + documentSize(buffer, from);
  const entry: Draft = { at: NO_TIME, op: '', ns: '', ui: undefined, wallMs: undefined, first: undefined, session: false, multiOpType: 0, bytes: buffer.subarray(from, end) };
  const time = { t: -1, i: 0, term: -1 };
  for (let at = from + 4; at < end - 1; ) {
    const name = at + 1;
    const value = afterName(buffer, name, end);
    const size = valueSize(buffer, buffer[at]!, value, end);
    if (value - name < 4) shortField(buffer, entry, time, { type: buffer[at]!, name, value, size });
    else if (value - name === 5) fourLetterField(buffer, entry, { type: buffer[at]!, name, value });
    else if (value - name === 12 && buffer[at] === INT32) elevenLetterField(buffer, entry, name, value);
    at = value + size;
  }
  if (time.t === -1) throw oplogDamaged({ why: 'an entry has no ts' });
  entry.at = time;
  return entry;
}

type Draft = { -readonly [K in keyof OplogEntry]: OplogEntry[K] };
type Field = { readonly type: number; readonly name: number; readonly value: number; readonly size: number };
const NO_TIME: Optime = { t: 0, i: 0, term: -1 };

/** t and o; ts, op, ns and ui. */
function shortField(buffer: Buffer, entry: Draft, time: { t: number; i: number; term: number }, field: Field): void {
  const { type, name, value, size } = field;
  const letters = value - name === 2 ? buffer[name]! : (buffer[name]! << 8) | buffer[name + 1]!;
  if (letters === TS && type === TIMESTAMP) {
    time.i = buffer.readUInt32LE(value);
    time.t = buffer.readUInt32LE(value + 4);
  } else if (letters === T && type === INT64) time.term = readLong(buffer, value);
  else if (letters === OP && type === STRING) entry.op = operation(buffer, value, size);
  else if (letters === NS && type === STRING) entry.ns = buffer.toString('utf8', value + 4, value + size - 1);
  else if (letters === UI && type === BINARY) entry.ui = buffer.toString('hex', value + 5, value + size);
  else if (letters === O && type === DOCUMENT) entry.first = firstKey(buffer, value);
}

/** wall and lsid. */
function fourLetterField(buffer: Buffer, entry: Draft, { type, name, value }: Omit<Field, 'size'>): void {
  const letters = buffer.readUInt32BE(name);
  if (letters === WALL && type === DATE) entry.wallMs = readLong(buffer, value);
  else if (letters === LSID && type === DOCUMENT) entry.session = true;
}

function elevenLetterField(buffer: Buffer, entry: Draft, name: number, value: number): void {
  if (buffer.toString('latin1', name, value - 1) === 'multiOpType') entry.multiOpType = buffer.readInt32LE(value);
}

/** The time of the entry at `from`. */
export function readOptime(source: Uint8Array, from = 0): Optime {
  return readEntry(source, from).at;
}

/** The entries of concatenated documents, in order. */
export function* entriesOf(source: Uint8Array): Generator<OplogEntry> {
  for (let from = 0; from < source.length; ) {
    const entry = readEntry(source, from);
    yield entry;
    from += entry.bytes.length;
  }
}

/** One batch out of entries' bytes. At least one is needed. */
export function batchOf(documents: readonly Uint8Array[]): OplogBatch {
  if (documents.length === 0) throw new Error('a batch holds at least one entry');
  return {
    first: readOptime(documents[0]!),
    last: readOptime(documents.at(-1)!),
    count: documents.length,
    bytes: Buffer.concat(documents),
  };
}

const code = (text: string): number => Buffer.from(text).reduce((number, letter) => number * 256 + letter, 0);
const [T, O, TS, OP, NS, UI] = [code('t'), code('o'), code('ts'), code('op'), code('ns'), code('ui')];
const [WALL, LSID] = [code('wall'), code('lsid')];

/** One-letter operations are most of an oplog: no string is made for them. */
function operation(buffer: Buffer, value: number, size: number): string {
  return (size === 6 ? OPERATIONS[buffer[value + 4]!] : undefined) ?? buffer.toString('utf8', value + 4, value + size - 1);
}
const OPERATIONS: Record<number, string> = Object.fromEntries(['i', 'u', 'd', 'n', 'c'].map((letter) => [letter.charCodeAt(0), letter]));

export type EntryKind = 'crud' | 'ddl' | 'index' | 'transaction' | 'group' | 'noop' | 'bookkeeping' | 'unknown';

/** What an entry is, for counts and for lists that people read. Whether it can be replayed is `barrierOf`. */
export function kindOf(entry: OplogEntry): EntryKind {
  if (entry.op !== 'c') return KIND_OF_OPERATION[entry.op] ?? 'unknown';
  if (entry.first !== 'applyOps') return KIND_OF_COMMAND[entry.first ?? ''] ?? 'unknown';
  return entry.session && entry.multiOpType !== 1 ? 'transaction' : 'group';
}

const KIND_OF_OPERATION: Record<string, EntryKind> = { i: 'crud', u: 'crud', d: 'crud', n: 'noop', km: 'bookkeeping', ci: 'bookkeeping', cu: 'bookkeeping', cd: 'bookkeeping' };

const KIND_OF_COMMAND: Record<string, EntryKind> = {
  ...named('ddl', ['create', 'drop', 'dropDatabase', 'renameCollection', 'collMod', 'convertToCapped', 'emptycapped']),
  ...named('index', ['createIndexes', 'startIndexBuild', 'commitIndexBuild', 'abortIndexBuild', 'dropIndexes', 'deleteIndexes', 'dropIndex', 'deleteIndex']),
  ...named('transaction', ['commitTransaction', 'abortTransaction']),
  ...named('bookkeeping', ['dbCheck', 'dropIdent', 'setMultikeyMetadata', 'createIdent', 'truncateRange']),
};

function named(kind: EntryKind, commands: readonly string[]): Record<string, EntryKind> {
  return Object.fromEntries(commands.map((command) => [command, kind]));
}

/** Why no replay may cross this entry, in words; undefined for nearly all. */
export function barrierOf(entry: OplogEntry): string | undefined {
  if (entry.op === 'xi' || entry.op === 'xd') return `a key of a global index changed (op ${entry.op})`;
  if (entry.ns === 'admin.system.version') return versionBarrier(entry);
  if (entry.op !== 'c') return KIND_OF_OPERATION[entry.op] === undefined ? `an operation that this version does not know (op ${entry.op})` : undefined;
  const command = entry.first ?? '';
  const known = BARRIER_COMMANDS[command];
  if (known !== undefined) return known;
  if (command === 'applyOps') return asBuffer(entry.bytes).includes('admin.system.version') ? 'a group of writes changed admin.system.version' : undefined;
  if (KIND_OF_COMMAND[command] === undefined) return `a command that this version does not know (${command === '' ? 'without name' : command})`;
  return command === 'create' || command === 'renameCollection' ? reshardingBarrier(entry, command) : undefined;
}

const BARRIER_COMMANDS: Record<string, string> = {
  importCollection: 'a collection was imported as files (importCollection)',
  upgradeDowngradeViewlessTimeseries: 'time-series collections changed their form (upgradeDowngradeViewlessTimeseries)',
  createGlobalIndex: 'a global index was created',
  dropGlobalIndex: 'a global index was dropped',
  modifyCollectionShardingIndexCatalog: 'the sharding index catalogue changed',
};

/** Only two documents of admin.system.version matter; authSchema and others are plain data. */
function versionBarrier(entry: OplogEntry): string | undefined {
  const selector = fieldOf(entry.bytes, entry.op === 'u' ? 'o2' : 'o');
  const id = selector?.type === DOCUMENT ? textOf(entry.bytes, '_id', selector.value) : undefined;
  if (id === 'featureCompatibilityVersion') return 'the feature compatibility version changed';
  return id === 'shardIdentity' ? 'the set became a shard or ceased to be one' : undefined;
}

function reshardingBarrier(entry: OplogEntry, command: string): string | undefined {
  const o = fieldOf(entry.bytes, 'o');
  const name = o === undefined ? '' : (textOf(entry.bytes, command, o.value) ?? '');
  return name.includes('system.resharding.') ? 'a collection was resharded' : undefined;
}
