import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Binary, BSON, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, type Document } from 'mongodb';
import { isFailure } from '../base/failure.ts';
import { fieldsOf, splitDocuments, textOf } from './bson-bytes.ts';
import { oplogDamaged } from './failures.ts';

const values = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.double().map((number) => new Double(number)),
    fc.integer().map((number) => new Int32(number)),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((number) => Long.fromBigInt(number)),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => new Binary(bytes)),
    fc.constantFrom(new ObjectId(), new Timestamp({ t: 9, i: 9 }), new MinKey(), new MaxKey(), new Code('f()'), new Code('f()', { a: 1 }), Decimal128.fromString('1.5'), /a+b/i, undefined),
  ),
  any: fc.oneof({ maxDepth: 3 }, tie('leaf'), fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(fc.string({ minLength: 1 }).filter((key) => !key.includes('\0')), tie('any'), { maxKeys: 4 })),
}));
const documents = fc.dictionary(
  fc.string().filter((key) => !key.includes('\0') && key !== '__proto__'),
  values.any,
  { maxKeys: 8 },
) as fc.Arbitrary<Document>;

test('fields of any document are found where the driver wrote them', () => {
  fc.assert(
    fc.property(documents, (document) => {
      const bytes = BSON.serialize(document, { ignoreUndefined: false });
      assert.deepEqual([...fieldsOf(bytes)].map((field) => field.name), Object.keys(BSON.deserialize(bytes)));
    }),
    { numRuns: 500 },
  );
});

test('concatenated documents come apart as they were', () => {
  fc.assert(
    fc.property(fc.array(documents, { maxLength: 10 }), (list) => {
      const parts = list.map((document) => Buffer.from(BSON.serialize(document)));
      assert.deepEqual([...splitDocuments(Buffer.concat(parts))].map((part) => Buffer.from(part)), parts);
    }),
  );
});

test('damaged documents are refused and never read beyond their end', () => {
  fc.assert(
    fc.property(documents, fc.nat(), fc.nat(255), (document, at, value) => {
      const bytes = Buffer.from(BSON.serialize(document));
      bytes[at % bytes.length] = value;
      try {
        for (const field of fieldsOf(bytes)) assert.ok(field.value + field.size < bytes.length);
      } catch (error) {
        assert.ok(isFailure(error, oplogDamaged), String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('a text is read by name, and only when it is one', () => {
  const bytes = BSON.serialize({ a: 5, name: 'größe', after: { name: 'inner' } });
  assert.equal(textOf(bytes, 'name'), 'größe');
  assert.equal(textOf(bytes, 'a'), undefined);
  assert.equal(textOf(bytes, 'absent'), undefined);
});
