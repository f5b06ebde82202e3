import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownCheck, ownChecks } from './checks.ts';

const good = { name: 'orders are there', collection: 'shop.orders', count: {}, expect: { atLeast: 1 } };
const refused = (change: object): string => {
  const { success, error } = ownCheck.safeParse({ ...good, ...change });
  assert.equal(success, false, JSON.stringify(change));
  return error!.issues.map(({ message }) => message).join();
};

test('a check asks one question and expects one answer of its kind', () => {
  assert.equal(ownCheck.parse(good).deadlineSeconds, 60);
  ownCheck.parse({ ...good, count: undefined, find: { filter: { _id: 1 } }, expect: { equals: [{ _id: 1 }] } });
  ownCheck.parse({ ...good, count: undefined, aggregate: [{ $count: 'n' }], expect: { atLeast: 1, atMost: 1 } });
  assert.match(refused({ find: {} }), /one of count, find and aggregate/);
  assert.match(refused({ count: undefined }), /one of count, find and aggregate/);
  assert.match(refused({ expect: {} }), /either "equals"/);
  assert.match(refused({ expect: { equals: 1, atLeast: 1 } }), /either "equals"/);
  assert.match(refused({ expect: { equals: [] } }), /count answers a number/);
  assert.match(refused({ count: undefined, find: {}, expect: { equals: 1 } }), /only count answers/);
  assert.match(refused({ expect: { atLeast: 2, atMost: 1 } }), /more at least than at most/);
  assert.match(refused({ count: undefined, find: {}, expect: { atLeast: 101 } }), /ask with count/);
  assert.ok(refused({ expext: 1 }));
});

test('a check that writes or runs a script is refused, however deep it is hidden', () => {
  const aggregate = (stage: object) => ({ count: undefined, aggregate: [{ $match: {} }, stage] });
  assert.match(refused(aggregate({ $out: 'stolen' })), /\$out/);
  assert.match(refused(aggregate({ $unionWith: { coll: 'b', pipeline: [{ $merge: 'stolen' }] } })), /\$merge/);
  assert.match(refused({ count: { $or: [{ a: 1 }, { $where: 'while (true) {}' }] } }), /\$where/);
  assert.match(refused(aggregate({ $group: { _id: null, n: { $accumulator: {} } } })), /\$accumulator/);
  assert.match(refused({ count: { $expr: { $function: { body: '', args: [], lang: 'js' } } } }), /\$function/);
});

test('what mongod keeps for itself runs scripts, too, and is refused', () => {
  const group = (accumulator: object) => ({ count: undefined, aggregate: [{ $group: { _id: null, n: accumulator } }] });
  assert.match(refused(group({ $_internalJsReduce: { data: 1, eval: 'function () {}' } })), /\$_internalJsReduce: a check only reads/);
  assert.match(refused({ count: { $expr: { $_internalJsEmit: { this: '$$ROOT', eval: 'function () {}' } } } }), /\$_internalJsEmit/);
});

test('a check looks into its own database only, and into no system collection of it', () => {
  const aggregate = (stage: object) => ({ count: undefined, aggregate: [stage] });
  const lookup = { localField: 'a', foreignField: 'b', as: 'c' };
  for (const stage of [
    { $lookup: { from: { db: 'local', coll: 'oplog.rs' }, pipeline: [], as: 'c' } },
    { $lookup: { from: { db: 'config', coll: 'cache.chunks.shop.orders' }, ...lookup } },
    { $lookup: { from: 'system.views', ...lookup } },
    { $graphLookup: { from: 'system.profile', startWith: '$a', connectFromField: 'a', connectToField: 'b', as: 'c' } },
    { $graphLookup: { from: { db: 'local', coll: 'oplog.rs' }, startWith: '$a', connectFromField: 'a', connectToField: 'b', as: 'c' } },
    { $unionWith: 'system.js' },
    { $unionWith: { coll: 'system.views' } },
    { $unionWith: { coll: 'oplog.rs', db: 'local' } },
    { $unionWith: { coll: { db: 'local', coll: 'oplog.rs' } } },
    { $facet: { a: [{ $lookup: { from: 'b', as: 'c', pipeline: [{ $unionWith: { db: 'local', coll: 'oplog.rs' } }] } }] } },
  ])
    assert.match(refused(aggregate(stage)), /(lookup|graphLookup|unionWith) of another database or of a system collection/i);
  ownCheck.parse({ ...good, ...aggregate({ $lookup: { from: 'customers', ...lookup } }), expect: { atMost: 0 } });
  ownCheck.parse({ ...good, ...aggregate({ $unionWith: { coll: 'systems', pipeline: [] } }) });
  ownCheck.parse({ ...good, ...aggregate({ $lookup: { pipeline: [{ $documents: [{ a: 1 }] }], as: 'c' } }) });
  ownCheck.parse({ ...good, count: { from: { db: 'a' }, coll: 'system.mail' } });
});

test('passwords and the inside of a set are no collections of a check, and names are there once', () => {
  for (const collection of ['admin.system.users', 'config.shards', 'local.oplog.rs', 'shop.system.views', 'shop', 'shop.$cmd', '.orders']) refused({ collection });
  assert.equal(ownChecks.safeParse([good, good]).success, false);
});
