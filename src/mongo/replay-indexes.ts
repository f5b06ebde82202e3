/**
 * Indexes during a replay by commands: kept as specifications and built at the end.
 *
 * While documents are applied in parallel, two of them may hold the same unique key for a moment, so no index but `_id`
 * may exist until all is done. Specifications stay the bytes they are: the order of fields in a key has a meaning.
 */
import { asBuffer, DOCUMENT, fieldOf, fieldsOf, textOf } from './bson-bytes.ts';
import { field, text, wrap } from './bson-writer.ts';
import { textIn } from './replay-operations.ts';

export type IndexBook = {
  /** A specification, with its `name`. */
  add(collection: string, specification: Uint8Array): void;
  /** What a dropIndexes entry names: a name, `*`, a key, or several names. */
  drop(collection: string, command: Uint8Array): void;
  /** The `index` part of a collMod. False when the book has no such index. */
  modify(collection: string, index: Uint8Array): boolean;
  forget(collection: string): void;
  /** Collection to the specifications to build. */
  all(): IterableIterator<[string, readonly Uint8Array[]]>;
};

/** Collections are told apart by their UUID, so a rename changes nothing here. */
export function openIndexBook(): IndexBook {
  const book = new Map<string, Map<string, Uint8Array>>();
  const of = (collection: string): Map<string, Uint8Array> => {
    const known = book.get(collection) ?? new Map<string, Uint8Array>();
    book.set(collection, known);
    return known;
  };
  return {
    add: (collection, specification) => {
      const name = textOf(specification, 'name');
      if (name !== undefined && name !== '_id_') of(collection).set(name, Buffer.from(specification));
    },
    drop: (collection, command) => {
      const indexes = of(collection);
      for (const name of namesToDrop(command, indexes)) indexes.delete(name);
    },
    modify: (collection, index) => {
      const indexes = of(collection);
      const name = textOf(index, 'name') ?? nameOfKey(indexes, fieldBytes(index, 'keyPattern'));
      const before = name === undefined ? undefined : indexes.get(name);
      if (name === undefined || before === undefined) return false;
      indexes.set(name, modified(before, index));
      return true;
    },
    forget: (collection) => void book.delete(collection),
    all: () =>
      [...book]
        .filter(([, indexes]) => indexes.size > 0)
        .map(([collection, indexes]): [string, Uint8Array[]] => [collection, [...indexes.values()]])
        .values(),
  };
}

function namesToDrop(command: Uint8Array, indexes: ReadonlyMap<string, Uint8Array>): string[] {
  const which = fieldOf(command, 'index');
  if (which === undefined) return [];
  const bytes = command.subarray(which.value, which.value + which.size);
  if (which.type === DOCUMENT) return [nameOfKey(indexes, bytes)].filter((name) => name !== undefined);
  if (which.type === 4) return [...fieldsOf(bytes)].map((item) => textIn(bytes, item));
  const name = textIn(command, which);
  return name === '*' ? [...indexes.keys()] : [name];
}

function nameOfKey(indexes: ReadonlyMap<string, Uint8Array>, key: Uint8Array | undefined): string | undefined {
  if (key === undefined) return undefined;
  for (const [name, specification] of indexes) {
    const own = fieldBytes(specification, 'key');
    if (own !== undefined && asBuffer(own).equals(key)) return name;
  }
  return undefined;
}

/** What collMod can change of an index. A false flag is stored as no flag; unique ends what prepared it. */
function modified(specification: Uint8Array, change: Uint8Array): Uint8Array {
  const replaced = new Map<string, Uint8Array | undefined>();
  for (const { name, type, value, size } of fieldsOf(change)) {
    const bytes = change.subarray(value, value + size);
    if (name === 'expireAfterSeconds') replaced.set(name, field(type, name, bytes));
    else if (name === 'hidden' || name === 'unique' || name === 'prepareUnique')
      replaced.set(name, bytes[0] === 0 ? undefined : field(type, name, bytes));
    else if (name === 'forceNonUnique' && bytes[0] === 1) replaced.set('unique', undefined);
  }
  if (replaced.get('unique') !== undefined) replaced.set('prepareUnique', undefined);
  const kept = [...fieldsOf(specification)].filter(({ name }) => !replaced.has(name));
  const own = kept.map(({ name, type, value, size }) => field(type, name, specification.subarray(value, value + size)));
  return wrap(...own, ...[...replaced.values()].filter((bytes) => bytes !== undefined));
}

function fieldBytes(document: Uint8Array, name: string): Uint8Array | undefined {
  const found = fieldOf(document, name);
  return found === undefined ? undefined : document.subarray(found.value, found.value + found.size);
}

/**
 * A createIndexes command. An index without collation has the simple one; in a collection that has a collation it would
 * inherit that, so it is said.
 */
export function createIndexesCommand(
  name: string,
  db: string,
  specifications: readonly Uint8Array[],
  collated: boolean,
): Uint8Array {
  const indexes = specifications.map((specification, k) =>
    field(DOCUMENT, String(k), collated ? withSimpleCollation(specification) : specification),
  );
  return wrap(text('createIndexes', name), field(4, 'indexes', wrap(...indexes)), text('$db', db));
}

function withSimpleCollation(specification: Uint8Array): Uint8Array {
  if (fieldOf(specification, 'collation') !== undefined) return specification;
  const own = asBuffer(specification).subarray(4, -1);
  return wrap(own, field(DOCUMENT, 'collation', wrap(text('locale', 'simple'))));
}

/** A specification out of an entry whose first field names the command. */
export function withoutFirst(document: Uint8Array): Uint8Array {
  for (const { value, size } of fieldsOf(document)) return wrap(asBuffer(document).subarray(value + size, -1));
  return document;
}

/** The documents of an array field. */
export function listed(document: Uint8Array, name: string): Uint8Array[] {
  const list = fieldBytes(document, name);
  return list === undefined ? [] : [...fieldsOf(list)].map(({ value, size }) => list.subarray(value, value + size));
}
