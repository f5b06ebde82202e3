import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, DBRef, Decimal128, Double, Int32, Long, ObjectId, type Document, type MongoClient } from 'mongodb';
import { systemClock } from '../base/clock.ts';
import { ownCheck, type CheckOutcome } from '../contract/checks.ts';
import { openClient } from '../mongo/connect.ts';
import { openSilentMongod } from '../../test/kit/silent-mongod.ts';
import { askChecks as eachOutcome, judgeAnswer } from './own-checks.ts';

const id = '65a1b2c3d4e5f60718293a4b';

test('a number holds within its borders, and a collection that is not there has none', () => {
  assert.deepEqual(judgeAnswer({ count: {}, expect: { atLeast: 2, atMost: 3 } }, [{ n: 3 }]), { ok: true, says: '3 documents' });
  assert.deepEqual(judgeAnswer({ count: {}, expect: { atLeast: 2 } }, [{ n: 1 }]), { ok: false, says: '1 document, expected at least 2' });
  assert.deepEqual(judgeAnswer({ count: {}, expect: { equals: 0 } }, []), { ok: true, says: '0 documents' });
  assert.deepEqual(judgeAnswer({ expect: { atLeast: 1, atMost: 1 } }, []), { ok: false, says: '0 documents, expected at least 1 and at most 1' });
});

test('documents are equal by value: types of numbers and the order of fields do not count, that of documents does', () => {
  const equals = [{ _id: { $oid: id }, total: 12, at: { $date: '2026-05-02T00:00:00Z' }, lines: [{ n: 1 }] }, { _id: 2 }];
  const found = [{ lines: [{ n: new Int32(1) }], at: new Date('2026-05-02T00:00:00Z'), total: Long.fromNumber(12), _id: new ObjectId(id) }, { _id: 2 }];
  assert.deepEqual(judgeAnswer({ expect: { equals } }, found), { ok: true, says: '2 documents, as expected' });
  assert.equal(judgeAnswer({ expect: { equals } }, found.toReversed()).ok, false);
  assert.equal(judgeAnswer({ expect: { equals: [{ a: { $numberDecimal: '1.5' } }] } }, [{ a: Decimal128.fromString('1.5') }]).ok, true);
});

test('a check that does not hold names the field that differs, and no value of it', () => {
  const told = judgeAnswer({ expect: { equals: [{ _id: 1, card: { number: 'wanted', code: 1 } }] } }, [{ _id: 1, card: { number: '4929 secret', code: 1 } }]);
  assert.deepEqual(told, { ok: false, says: 'document 1 of 1 differs in card.number' });
  assert.equal(judgeAnswer({ expect: { equals: [{ _id: 1, gone: 2 }] } }, [{ _id: 1 }]).says, 'document 1 of 1 differs in gone');
  assert.equal(judgeAnswer({ expect: { equals: [{ a: [1] }] } }, [{ a: { 0: 1 } }]).says, 'document 1 of 1 differs in a');
});

test('a field of the document that the check does not name is not named: its name may be a value', () => {
  const says = (wanted: Document, found: Document): string => judgeAnswer({ expect: { equals: [wanted] } }, [found]).says;
  assert.equal(says({ _id: 1 }, { _id: 1, 'ada@example.org': 2 }), 'document 1 of 1 has a field that is not expected');
  assert.equal(says({ mails: { known: [{ a: 1 }] } }, { mails: { known: [{ a: 1, 'ada@example.org': 1 }] } }), 'document 1 of 1 has a field that is not expected in mails.known.0');
  assert.equal(says({ mails: [1] }, { mails: [1, 'ada@example.org'] }), 'document 1 of 1 has an element that is not expected in mails');
  assert.equal(says({ mails: { known: 1 } }, { mails: { 'ada@example.org': 1 } }), 'document 1 of 1 differs in mails.known');
});

test('what is said of a check is short, whatever names the check has, and can be stored', async () => {
  const says = async (name: string): Promise<string> => {
    const asked = ownCheck.parse({ name: 'a', collection: 'shop.orders', find: {}, expect: { equals: [{ [name]: 1 }] } });
    const [outcome] = await askChecks(answering([{ [name]: 2 }]), [asked], at, systemClock, new AbortController().signal);
    return outcome!.says;
  };
  assert.equal(await says('total'), 'document 1 of 1 differs in total');
  const long = await says('🌊'.repeat(100_000));
  assert.equal(long.length, 300);
  assert.ok((await says(`a${'🌊'.repeat(100_000)}`)).isWellFormed() && long.isWellFormed());
  assert.match(long, /^document 1 of 1 differs in 🌊/u);
});

test('numbers of 64 bits, decimals and fractions are compared by their value, and none is rounded', () => {
  const isEqual = (wanted: unknown, found: unknown): boolean => judgeAnswer({ expect: { equals: [{ n: wanted }] } }, [{ n: found }]).ok;
  const long = (text: string): Long => Long.fromString(text);
  const decimal = (text: string): Decimal128 => Decimal128.fromString(text);
  assert.equal(isEqual({ $numberLong: '9007199254740993' }, long('9007199254740993')), true);
  assert.equal(isEqual({ $numberLong: '9007199254740993' }, long('9007199254740992')), false);
  assert.equal(isEqual({ $numberLong: '9007199254740993' }, 9007199254740992), false);
  assert.equal(isEqual({ $numberLong: '-9223372036854775808' }, -(2 ** 63)), true);
  assert.equal(isEqual({ $numberDecimal: '9007199254740993' }, long('9007199254740993')), true);
  for (const five of [5, new Int32(5), new Double(5), Long.fromNumber(5), decimal('5'), decimal('5.00'), decimal('0.5E+1'), 5n]) {
    for (const wanted of [5, { $numberInt: '5' }, { $numberLong: '5' }, { $numberDouble: '5.0' }, { $numberDecimal: '5.00' }]) assert.equal(isEqual(wanted, five), true);
    for (const wanted of [-5, 50, 5.1, '5', { $numberDecimal: '5.01' }, { $numberDecimal: 'NaN' }, null]) assert.equal(isEqual(wanted, five), false);
  }
  assert.equal(isEqual(0.1, decimal('0.10')), true);
  assert.equal(isEqual(0.1, decimal('0.1000000000000000055511151231257827')), false);
  assert.equal(isEqual({ $numberDecimal: '1E+6144' }, decimal('1000E+6141')), true);
  assert.equal(isEqual(0, -0) && isEqual({ $numberDecimal: '-0.00' }, 0), true);
  assert.equal(isEqual({ $numberDouble: 'NaN' }, decimal('NaN')) && isEqual({ $numberDecimal: '-Infinity' }, -Infinity), true);
  assert.equal(isEqual({ $numberDouble: 'Infinity' }, -Infinity), false);
});

test('what is no number is equal when its type is, too', () => {
  const isEqual = (wanted: unknown, found: unknown): boolean => judgeAnswer({ expect: { equals: [{ v: wanted }] } }, [{ v: found }]).ok;
  assert.equal(isEqual({ $date: 0 }, new Date(0)) && isEqual({ $date: { $numberLong: '86400000' } }, new Date(86_400_000)), true);
  assert.equal(isEqual({ $timestamp: { t: 5, i: 1 } }, new BSON.Timestamp({ t: 5, i: 1 })), true);
  assert.equal(isEqual({ $timestamp: { t: 0, i: 5 } }, 5), false);
  assert.equal(isEqual({ $ref: 'a', $id: { $numberLong: '7' } }, new DBRef('a', 7 as unknown as ObjectId)), true);
  assert.equal(isEqual(id, new ObjectId(id)), false);
  assert.equal(isEqual(5, { _bsontype: 'Int32', value: 5 }), false);
  assert.equal(isEqual(null, {}), false);
});

test('a question keeps the numbers it has', async () => {
  const asked: Document[][] = [];
  const filter = { n: { $gt: { $numberLong: '9007199254740993' } }, at: { $gt: { $date: 0 } } };
  await askChecks(answering([], asked), [ownCheck.parse({ name: 'a', collection: 'shop.orders', count: filter, expect: { equals: 0 } })], at, systemClock, new AbortController().signal);
  const sent = BSON.deserialize(BSON.serialize(asked[0]![0]!), { promoteLongs: false });
  assert.equal(String(sent['$match'].n.$gt), '9007199254740993');
  assert.deepEqual(sent['$match'].at.$gt, new Date(0));
});

const asks = (name: string) => ownCheck.parse({ name, collection: 'shop.orders', count: {}, expect: { atLeast: 1 }, deadlineSeconds: 1 });

for (const [how, says] of [
  ['blocked', 'it did not answer within 1 s'],
  ['stopped', 'it did not answer within 1 s'],
  ['gone', 'it was not answered: the connection to mongod was lost'],
] as const)
  test(`a mongod that is ${how} ends its check, the checks behind it and its client`, { timeout: 20_000 }, async () => {
    await using silent = await openSilentMongod('aggregate', how);
    const client = await openClient({ socket: silent.socket }, { silenceMs: null, deadlineMs: 500 });
    const outcomes = await askChecks(client, [asks('first'), asks('second')], at, systemClock, new AbortController().signal, 50);
    assert.deepEqual(
      outcomes.map(({ name, ok, says: said }) => ({ name, ok, says: said })),
      [
        { name: 'first', ok: false, says },
        { name: 'second', ok: false, says: 'it was not asked: mongod does not answer any more' },
      ],
    );
    assert.equal(silent.asked(), 1);
    await client.close();
  });

test('a proof that is to stop does not wait for a mongod that is silent', { timeout: 20_000 }, async () => {
  await using silent = await openSilentMongod('aggregate', 'blocked');
  await using client = await openClient({ socket: silent.socket }, { silenceMs: null, deadlineMs: 500 });
  const stop = new AbortController();
  const asked = askChecks(client, [{ ...asks('a'), deadlineSeconds: 3_600 }], at, systemClock, stop.signal);
  await silent.isSilent;
  stop.abort(new Error('stopped by hand'));
  await assert.rejects(asked, /stopped by hand/);
});

const askChecks = async (...asked: Parameters<typeof eachOutcome>): Promise<CheckOutcome[]> => await Array.fromAsync(eachOutcome(...asked));

test('each outcome is told as soon as it is there, not behind the last check', async () => {
  await using silent = await openSilentMongod('aggregate', 'blocked');
  await using client = await openClient({ socket: silent.socket }, { silenceMs: null, deadlineMs: 500 });
  const unfit = { ...asks('first'), count: { $where: 'true' } };
  const outcomes = eachOutcome(client, [unfit, asks('second')], at, systemClock, new AbortController().signal);
  assert.equal((await outcomes.next()).value?.name, 'first');
  assert.equal(silent.asked(), 0);
  await outcomes.return(undefined);
});

const at = { t: 1_777_680_000, i: 1 };

/** A client whose every question has these documents for an answer. */
function answering(documents: readonly Document[], asked: Document[][] = []): MongoClient {
  const aggregate = (pipeline: Document[]): object => {
    asked.push(pipeline);
    return { [Symbol.asyncIterator]: () => documents.values(), close: async () => await Promise.resolve() };
  };
  return { db: () => ({ collection: () => ({ aggregate }) }) } as unknown as MongoClient;
}
