import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, type Document } from 'mongodb';
import { createIndexesCommand, openIndexBook, withoutFirst } from './replay-indexes.ts';

const bytes = (document: Document): Uint8Array => BSON.serialize(document);
const specifications = (book: ReturnType<typeof openIndexBook>): Document[] =>
  [...book.all()].flatMap(([, list]) => list.map((one) => BSON.deserialize(one)));

function bookOf(...indexes: Document[]) {
  const book = openIndexBook();
  for (const index of indexes) book.add('c', bytes(index));
  return book;
}

test('an index of an empty collection is what follows the name of its command', () => {
  assert.deepEqual(BSON.deserialize(withoutFirst(bytes({ createIndexes: 'x', v: 2, key: { a: 1 }, name: 'a_1' }))), {
    v: 2,
    key: { a: 1 },
    name: 'a_1',
  });
});

test("the index on _id is the server's own", () => {
  assert.deepEqual(specifications(bookOf({ v: 2, key: { _id: 1 }, name: '_id_' })), []);
});

test('indexes are dropped by name, by key, by a list of names, or all', () => {
  const three = [
    { key: { a: 1 }, name: 'a' },
    { key: { b: 1 }, name: 'b' },
    { key: { c: 1 }, name: 'c' },
  ];
  const left = (index: unknown): unknown[] => {
    const book = bookOf(...three);
    book.drop('c', bytes({ dropIndexes: 'x', index }));
    return specifications(book).map(({ name }) => name as unknown);
  };
  assert.deepEqual(left('a'), ['b', 'c']);
  assert.deepEqual(left({ b: 1 }), ['a', 'c']);
  assert.deepEqual(left(['a', 'c']), ['b']);
  assert.deepEqual(left('*'), []);
});

test('collMod changes an index: TTL, hidden, prepared for unique, unique', () => {
  const book = bookOf({ key: { a: 1 }, name: 'a', expireAfterSeconds: 5, hidden: true });
  assert.equal(book.modify('c', bytes({ name: 'a', expireAfterSeconds: 60 })), true);
  book.modify('c', bytes({ keyPattern: { a: 1 }, hidden: false }));
  book.modify('c', bytes({ name: 'a', prepareUnique: true }));
  assert.deepEqual(specifications(book), [{ key: { a: 1 }, name: 'a', expireAfterSeconds: 60, prepareUnique: true }]);
  book.modify('c', bytes({ name: 'a', unique: true }));
  assert.deepEqual(specifications(book), [{ key: { a: 1 }, name: 'a', expireAfterSeconds: 60, unique: true }]);
  book.modify('c', bytes({ name: 'a', forceNonUnique: true }));
  assert.deepEqual(specifications(book), [{ key: { a: 1 }, name: 'a', expireAfterSeconds: 60 }]);
  assert.equal(book.modify('c', bytes({ name: 'unknown', hidden: true })), false);
});

test('in a collection with a collation, an index without one is asked for with the simple one', () => {
  const command = (collated: boolean): Document =>
    BSON.deserialize(
      createIndexesCommand(
        'x',
        'db',
        [bytes({ key: { a: 1 }, name: 'a' }), bytes({ key: { b: 1 }, name: 'b', collation: { locale: 'fr' } })],
        collated,
      ),
    );
  assert.deepEqual(command(true), {
    createIndexes: 'x',
    indexes: [
      { key: { a: 1 }, name: 'a', collation: { locale: 'simple' } },
      { key: { b: 1 }, name: 'b', collation: { locale: 'fr' } },
    ],
    $db: 'db',
  });
  assert.equal(command(false)['indexes'][0].collation, undefined);
});
