/** What a user of the set may do is known before anything starts, and the roles that the pages name are enough. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { discover } from '../../src/agent/discover.ts';
import { copyCollection, planCopy, type Existing } from '../../src/mongo/collection-copy.ts';
import { openClient, withFailures, type MongoAddress } from '../../src/mongo/connect.ts';
import { requireRestoreRights } from '../../src/mongo/refusals.ts';
import { rolesToProtect, rolesToRestore } from '../../src/mongo/rights.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

let set: ReplicaSet;

before(async () => {
  set = await openReplicaSet({ members: 1, auth: true });
  await using admin = await set.client();
  const make = async (user: string, roles: readonly string[]) => await admin.db('admin').command({ createUser: user, pwd: user, roles });
  await make('protector', rolesToProtect);
  await make('restorer', [...rolesToProtect, ...rolesToRestore]);
  await make('nobody', []);
  const db = admin.db('shop');
  await db.createCollection('orders', { validator: { n: { $gte: 0 } } });
  await db.collection('orders').insertMany([{ n: 1 }, { n: 2 }]);
  await db.collection('orders').createIndex({ n: 1 }, { expireAfterSeconds: 1_000_000 });
  await db.createCollection('weather', { timeseries: { timeField: 'at' } });
  await db.collection('weather').insertOne({ at: new Date(), c: 3 });
});
after(async () => await set?.stop());

const addressOf = (user: string) => ({ hosts: [{ host: set.members[0]!.host, port: set.members[0]!.port }], credential: { kind: 'scram' as const, user, password: user, authSource: 'admin' } }) satisfies MongoAddress;

async function copy(user: string, from: string, to: string, existing: Existing = 'refuse'): Promise<number> {
  await using source = await set.client();
  await using target = await openClient(addressOf(user));
  return await withFailures(target, 'the copy', async () => {
    const plan = await planCopy(source, target, from, to, existing, 'now');
    return (await copyCollection(source, target, plan, { onBytes: () => {}, signal: new AbortController().signal, asideSuffix: `aside-${Date.now()}`, nowMs: 1 })).documents;
  });
}

test('with the roles for protection a set is discovered; without them all that lacks is named with the roles that give it', async () => {
  assert.equal((await discover({ ...addressOf('protector') }, '/nonexistent')).members.length, 1);
  await assert.rejects(discover({ ...addressOf('nobody') }, '/nonexistent'), (error) => {
    assert.ok(isFailure(error, { code: 'mongo.not-authorized' }));
    for (const right of ['replSetGetConfig', 'fsync', 'find, collStats on local.oplog.rs', 'config.transactions']) assert.ok(error.message.includes(right), error.message);
    assert.match(error.hint, /grantRolesToUser\("nobody", \[\{"role":"backup","db":"admin"\},\{"role":"clusterMonitor","db":"admin"\},\{"role":"hostManager","db":"admin"\}\]\)$/);
    return true;
  });
});

test('a set that needs a sign-in says so and names the options', async () => {
  await assert.rejects(discover({ hosts: addressOf('x').hosts, credential: { kind: 'none' } }, '/nonexistent'), (error) => {
    assert.ok(isFailure(error, { code: 'mongo.sign-in-needed' }));
    assert.match(error.message, /needs a sign-in: --user and --password-file/);
    return true;
  });
});

test('a restore into a live set is refused before it starts, with what its user lacks and the command that grants it', async () => {
  await using target = await openClient(addressOf('protector'));
  await assert.rejects(requireRestoreRights(target, ['shop.orders', 'other.orders']), (error) => {
    assert.ok(isFailure(error, { code: 'mongo.not-authorized' }));
    assert.match(error.message, /protector lacks rights on .*createCollection, insert.*dropCollection on database shop; .* on database other/);
    assert.match(error.hint, /grantRolesToUser\("protector", \[\{"role":"readWriteAnyDatabase","db":"admin"\}/);
    return true;
  });
});

test('the roles for restores are enough for every way of putting a collection in place', async () => {
  await using target = await openClient(addressOf('restorer'));
  await requireRestoreRights(target, ['shop.orders']);
  assert.equal(await copy('restorer', 'shop.orders', 'shop.back'), 2);
  assert.equal(await copy('restorer', 'shop.orders', 'shop.back', 'replace'), 2);
  assert.equal(await copy('restorer', 'shop.orders', 'shop.back', 'aside'), 2);
  assert.equal(await copy('restorer', 'shop.weather', 'shop.weather_back'), 1);
});

test('a right that lacks all the same is a failure of its own, without the signed time that mongod repeats', async () => {
  await assert.rejects(copy('protector', 'shop.orders', 'shop.refused'), (error) => {
    assert.ok(isFailure(error, { code: 'mongo.not-authorized' }), String(error));
    assert.doesNotMatch(JSON.stringify([error.message, error.hint]), /clusterTime|signature/);
    return true;
  });
});
