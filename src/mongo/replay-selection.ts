/**
 * What of an oplog a few collections need, for a replay whose files are thrown away when they were read.
 *
 * Left out are inserts, updates and deletes of collections that nothing else touches in the whole range: no command, no
 * transaction, no group of writes. Such a collection stays where the copy's own oplog left it, and nobody looks at it. In
 * place of each entry stands a no-op of the same time, so that recovery begins, counts and ends as it would with all of them.
 *
 * What anything else touches is replayed: an index build over documents that are not there, or a transaction on a collection
 * that was not created, would end in another state than the source's, or in none.
 */
import { DOCUMENT, fieldOf, STRING, textOf } from './bson-bytes.ts';
import { field, int32, text, wrap } from './bson-writer.ts';
import type { OplogEntry } from './oplog-entry.ts';
import { firstName, operationsIn, type Operation } from './replay-operations.ts';

export type Selection = {
  /** To be called for every entry of the range before the first question. */
  note(entry: OplogEntry): void;
  leavesOut(entry: OplogEntry): boolean;
};

/** `only` are namespaces as people name them: a time series by its own name. */
export function openSelection(only: readonly string[]): Selection {
  const kept = new Set<string>();
  const databases = new Set(['admin', 'config', 'local']);
  const keep = (db: string, name: string): void => {
    const plain = name.startsWith(buckets) ? name.slice(buckets.length) : name;
    kept.add(`${db}.${plain}`).add(`${db}.${buckets}${plain}`);
  };
  for (const ns of only) keep(...parts(ns));

  const noteCommand = ({ ns, o }: Operation): void => {
    const [db] = parts(ns);
    const name = firstName(o);
    if (name === 'commitTransaction' || name === 'abortTransaction') return;
    const object = fieldOf(o, name);
    if (object?.type !== STRING) return void databases.add(db);
    if (name !== 'renameCollection') return keep(db, textOf(o, name)!);
    for (const side of [textOf(o, 'renameCollection'), textOf(o, 'to')]) keep(...parts(side ?? ''));
  };
  return {
    note(entry) {
      if (entry.op !== 'c') return;
      for (const operation of operationsIn(entry)) {
        if (operation.op === 'c') noteCommand(operation);
        else keep(...parts(operation.ns));
      }
    },
    leavesOut({ op, ns }) {
      if (op !== 'i' && op !== 'u' && op !== 'd') return false;
      const [db, name] = parts(ns);
      return !kept.has(ns) && !databases.has(db) && (!name.startsWith('system.') || name.startsWith(buckets));
    },
  };
}

const buckets = 'system.buckets.';

function parts(ns: string): [db: string, name: string] {
  const dot = ns.indexOf('.');
  return dot < 0 ? [ns, ''] : [ns.slice(0, dot), ns.slice(dot + 1)];
}

/** A no-op at the time of an entry. */
export function noopAt({ at, wallMs }: OplogEntry): Buffer {
  const timestamp = Buffer.concat([int32(at.i | 0), int32(at.t | 0)]);
  const fields = [text('op', 'n'), text('ns', ''), field(DOCUMENT, 'o', wrap()), field(0x11, 'ts', timestamp), field(0x12, 't', int64(at.term)), field(0x12, 'v', int64(2)), field(0x09, 'wall', int64(wallMs ?? 0))];
  return wrap(...fields);
}

function int64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}
