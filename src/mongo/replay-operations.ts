/**
 * Operations of an oplog, one by one, in the order in which they take effect.
 *
 *   i u d n c                  as they stand
 *   applyOps, no session       unfolded: a group of writes, each a write of its own
 *   applyOps, multiOpType 1    unfolded: a retryable batch that only looks like a transaction
 *   applyOps, partialTxn       kept: a transaction above 16 MB, its entries linked by session and number
 *   applyOps, last of these    everything kept and this: all at the time of this entry
 *   applyOps, prepare          kept until commitTransaction, thrown away at abortTransaction
 *
 * What is still kept at the end of a range was not committed in it, and nothing of it may be seen.
 */
import type { Optime } from '../base/cluster-time.ts';
import { DOCUMENT, fieldsOf, type BsonField } from './bson-bytes.ts';
import type { OplogEntry } from './oplog-entry.ts';

export type Operation = {
  readonly at: Optime;
  readonly op: string;
  readonly ns: string;
  /** The collection's UUID as 32 hex digits. */
  readonly ui: string | undefined;
  readonly o: Uint8Array;
  readonly o2: Uint8Array | undefined;
};

export type Unfolding = {
  /** The operations that take effect with this entry. */
  take(entry: OplogEntry): Operation[];
  /** Only what belongs to transactions is kept: for entries that are already in the base. */
  remember(entry: OplogEntry): void;
  readonly transactions: number;
  /** Transactions that are open at this moment. */
  readonly open: number;
};

export function openUnfolding(): Unfolding {
  const kept = new Map<string, Operation[]>();
  let transactions = 0;
  const add = (key: string, operations: readonly Operation[]): void => {
    const before = kept.get(key);
    if (before === undefined) kept.set(key, [...operations]);
    else for (const operation of operations) before.push(operation);
  };
  const end = (key: string): Operation[] => {
    const operations = kept.get(key) ?? [];
    kept.delete(key);
    return operations;
  };
  const take = (entry: OplogEntry): Operation[] => {
    if (entry.op === 'n') return [];
    if (entry.op !== 'c') return [operationOf(entry.bytes, entry.at)];
    const inSession = entry.session && entry.multiOpType !== 1;
    if (inSession && entry.first === 'abortTransaction') {
      kept.delete(sessionOf(entry));
      return [];
    }
    if (inSession && entry.first === 'commitTransaction') {
      transactions++;
      return end(sessionOf(entry));
    }
    const whole = operationOf(entry.bytes, entry.at);
    if (entry.first !== 'applyOps') return [whole];
    const group = groupOf(whole);
    if (!inSession) return group.operations;
    const key = sessionOf(entry);
    add(key, group.operations);
    if (group.partial || group.prepared) return [];
    transactions++;
    return end(key);
  };
  return {
    take,
    remember: (entry) => {
      if (entry.op === 'c' && entry.session) take(entry);
    },
    get transactions() {
      return transactions;
    },
    get open() {
      return kept.size;
    },
  };
}

/** What an entry names, whether it takes effect with it or later: the command it is, or every write of its group. */
export function operationsIn(entry: OplogEntry): readonly Operation[] {
  const whole = operationOf(entry.bytes, entry.at);
  return entry.op === 'c' && entry.first === 'applyOps' ? groupOf(whole).operations : [whole];
}

/** Session id and number of the transaction, as the bytes they are. */
function sessionOf(entry: OplogEntry): string {
  let key = '';
  for (const { name, value, size } of fieldsOf(entry.bytes)) {
    if (name === 'lsid' || name === 'txnNumber') key += `${name}:${hex(entry.bytes.subarray(value, value + size))} `;
  }
  return key;
}

function operationOf(bytes: Uint8Array, at: Optime): Operation {
  const found: { op: string; ns: string; ui: string | undefined; o: Uint8Array; o2: Uint8Array | undefined } = {
    op: '',
    ns: '',
    ui: undefined,
    o: EMPTY,
    o2: undefined,
  };
  for (const field of fieldsOf(bytes)) {
    if (field.name === 'op') found.op = textIn(bytes, field);
    else if (field.name === 'ns') found.ns = textIn(bytes, field);
    else if (field.name === 'ui') found.ui = hex(bytes.subarray(field.value + 5, field.value + field.size));
    else if (field.name === 'o') found.o = bytes.subarray(field.value, field.value + field.size);
    else if (field.name === 'o2' && field.type === DOCUMENT)
      found.o2 = bytes.subarray(field.value, field.value + field.size);
  }
  return { at, ...found };
}
const EMPTY = Buffer.from([5, 0, 0, 0, 0]);

/** Groups can be nested: `applyOps` as a client's command is logged as it was sent. */
function groupOf({ o, at }: Operation): { operations: Operation[]; partial: boolean; prepared: boolean } {
  const operations: Operation[] = [];
  let [partial, prepared] = [false, false];
  for (const field of fieldsOf(o)) {
    if (field.name === 'partialTxn') partial = o[field.value] === 1;
    else if (field.name === 'prepare') prepared = o[field.value] === 1;
    else if (field.name === 'applyOps') {
      const list = o.subarray(field.value, field.value + field.size);
      for (const item of fieldsOf(list)) {
        const inner = operationOf(list.subarray(item.value, item.value + item.size), at);
        if (inner.op === 'c' && firstName(inner.o) === 'applyOps') operations.push(...groupOf(inner).operations);
        else if (inner.op !== 'n') operations.push(inner);
      }
    }
  }
  return { operations, partial, prepared };
}

/** The name of a command. */
export function firstName(document: Uint8Array): string {
  for (const field of fieldsOf(document)) return field.name;
  return '';
}

export function textIn(bytes: Uint8Array, { value, size }: BsonField): string {
  return view(bytes).toString('utf8', value + 4, value + size - 1);
}

function hex(bytes: Uint8Array): string {
  return view(bytes).toString('hex');
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
