import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Kysely } from 'kysely';
import { makeOlderCatalog, newestMigration } from '../../test/kit/older-catalog.ts';
import { isFailure } from '../base/failure.ts';
import { openCatalog, openCatalogOn, type Catalog } from './catalog.ts';
import { catalogNewer, laneTaken } from './failures.ts';
import { restoreSnapshot } from './snapshot.ts';
import { openSqlite, sqliteDialect } from './sqlite.ts';

let directory: string;
let catalog: Catalog;
let path: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tm-catalog-'));
  path = join(directory, 'catalog.sqlite');
  catalog = await openCatalog(path);
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600, `${file} is its owner's alone`);
});
after(async () => {
  await catalog.close();
  rmSync(directory, { recursive: true });
});

const session = (id: string, lane: string | null = null) => ({
  id, lane, kind: 'backup', object_kind: 'set', object_id: 's1', object_name: 'rs0', set_id: 's1', sealed_wish: '', created_ms: 1_000, reason: null, retry_of: null,
});

test('the adapter refuses what the driver would bind silently as something else', () => {
  const database = openSqlite(join(directory, 'adapter.sqlite'));
  database.prepare('create table t (v)').run([]);
  for (const value of [new Date(), true, undefined, { a: 1 }, 2 ** 53, 2n ** 60n, Number.NaN, ['x']]) {
    assert.throws(() => database.prepare('insert into t values (?)').run([value]), TypeError, String(value));
  }
  for (const value of ['text', 1.5, 7, 7n, null, new Uint8Array([1, 2])]) database.prepare('insert into t values (?)').run([value]);
  const rows = database.prepare('select v from t').all([]);
  assert.deepEqual(rows, [{ v: 'text' }, { v: 1.5 }, { v: 7 }, { v: 7 }, { v: null }, { v: new Uint8Array([1, 2]) }]);
  database.close();
});

test('a catalog opened again keeps what it had and runs no migration twice', async () => {
  await catalog.settings.put('colour', 'blue');
  const again = await openCatalog(path);
  assert.equal(await again.settings.get('colour'), 'blue');
  await again.close();
});

test('the migrations use only what every dialect has', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const folder = new URL('./migrations/', import.meta.url);
  const files = readdirSync(folder).filter((name) => /^\d/.test(name));
  assert.ok(files.length > 0);
  for (const name of files) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const types = [...text.matchAll(/addColumn\('[a-z_]+', '([a-z]+)'/g)].map((match) => match[1]);
    assert.ok(types.length > 0 && types.every((type) => ['text', 'integer', 'bigint'].includes(type!)), `${name}: ${types.join()}`);
    assert.doesNotMatch(text, /\bsql`|autoIncrement|pragma/);
  }
});

test('a catalog of a newer version is refused and left as it is', async () => {
  const newer = join(directory, 'newer.sqlite');
  await (await openCatalog(newer)).close();
  const raw = new DatabaseSync(newer);
  raw.prepare('insert into kysely_migration values (?, ?)').run('0999-from-the-future', '2030-01-01T00:00:00.000Z');
  raw.close();
  await assert.rejects(openCatalog(newer), (error) => isFailure(error, catalogNewer) && error.message.includes('0999-from-the-future'));
});

test('a catalog of an older version is copied before it is changed, for its owner alone, and the copy opens as it was', async () => {
  const older = join(directory, 'older.sqlite');
  await restoreSnapshot(older, { migration: '0016-news', tables: { settings: [{ name: 'colour', value: 'red' }], orphans: [{ set_id: 's1', policy_name: 'old', retention: '{}', time_zone: 'UTC', since_ms: 5 }] } });
  const upgraded = await openCatalog(older);
  await upgraded.settings.put('colour', 'blue');
  assert.deepEqual(await upgraded.policies.orphans(), [{ set_id: 's1', policy: 'old', policy_name: 'old', retention: '{}', time_zone: 'UTC', since_ms: 5 }]);
  await upgraded.close();
  const copy = `${older}.before-0017-servers`;
  assert.equal(statSync(copy).mode & 0o777, 0o600);
  const kept = new DatabaseSync(copy);
  assert.equal(kept.prepare("select value from settings where name = 'colour'").get()?.['value'], 'red');
  assert.equal(kept.prepare('select count(*) as n from kysely_migration where name = ?').get(newestMigration)?.['n'], 0);
  kept.close();
});

test('of restores from before plans were told apart, those that only said what they would do are plans', async () => {
  const older = join(directory, 'plans.sqlite');
  await makeOlderCatalog(new Kysely<never>({ dialect: sqliteDialect(older) }), '0030-plans');
  const database = new DatabaseSync(older);
  const insert = database.prepare("insert into sessions (id, kind, object_kind, object_id, object_name, state, stopping, sealed_wish, created_ms, warnings, result) values (?, ?, 'set', 's1', 'rs0', 'success', 0, '', 1, 0, ?)");
  insert.run('p1', 'restore-set', '{"kind":"restore-set","applied":false}');
  insert.run('p2', 'restore-set', '{"kind":"restore-set","applied":true}');
  insert.run('p3', 'backup', null);
  database.close();
  await using upgraded = await openCatalog(older);
  assert.deepEqual(await Promise.all(['p1', 'p2', 'p3'].map(async (id) => (await upgraded.sessions.find(id))?.is_plan)), [1, 0, 0]);
});

test('of two sessions that want one lane the second is told who has it, until that one has ended', async () => {
  await catalog.sessions.open(session('a1', 'set:s1'));
  await assert.rejects(catalog.sessions.open(session('a2', 'set:s1')), (error) => isFailure(error, laneTaken) && error.details['session'] === 'a1');
  assert.equal(await catalog.sessions.find('a2'), undefined);
  await catalog.sessions.move('a1', { kind: 'start' }, 2_000);
  await catalog.sessions.move('a1', { kind: 'end', as: 'failed' }, 3_000, { result: null, failure: '{}' });
  await catalog.sessions.open(session('a2', 'set:s1'));
});

test('many at once on one connection neither mix their transactions nor lose one', async () => {
  await catalog.sessions.open(session('b1'));
  const numbers = await Promise.all(Array.from({ length: 200 }, (_, n) => catalog.sessions.append('b1', n, { kind: 'line', level: 'info', text: `${n}` })));
  assert.deepEqual([...numbers].sort((a, b) => a - b), Array.from({ length: 200 }, (_, n) => n + 2));
  assert.equal((await catalog.sessions.events('b1', 0, 1_000)).length, 201);
});

test('a session that has ended cannot be moved, whoever asks', async () => {
  await catalog.sessions.open(session('c1'));
  await catalog.sessions.move('c1', { kind: 'start' }, 1);
  const moves = await Promise.all((['success', 'failed', 'stopped'] as const).map((as) => catalog.sessions.move('c1', { kind: 'end', as }, 2)));
  assert.equal(moves.filter((move) => move !== 'refused').length, 1);
  const events = (await catalog.sessions.events('c1', 0, 10)).map(({ event }) => JSON.parse(event).state);
  assert.deepEqual(events, ['waiting', 'working', 'success']);
});

test('an endless session keeps its newest events only', async () => {
  await using small = await openCatalogOn(sqliteDialect(':memory:'), { eventsKept: 50 });
  await small.sessions.open(session('d1'));
  for (let n = 0; n < 200; n++) await small.sessions.append('d1', n, { kind: 'line', level: 'info', text: 'x' });
  const kept = await small.sessions.events('d1', 0, 1_000);
  assert.ok(kept.length >= 50 && kept.length <= 55 && kept.at(-1)?.number === 201, `${kept.length}`);
});

test('the points of a repository are mirrored: new ones come, missing ones are marked lost, a found one is no longer lost', async () => {
  await catalog.repositories.add({ id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null });
  const row = (id: string, summary = '{}') => ({ id, set_id: 's1', repository: 'r1', created_ms: 1, summary, lost: 0 });
  await catalog.points.mirror('r1', 's1', [row('p1'), row('p2')]);
  await catalog.points.mirror('r1', 's1', [row('p2', '{"a":1}'), row('p3')]);
  assert.deepEqual((await catalog.points.list('s1')).map(({ id, lost, summary }) => [id, lost, summary]), [['p1', 1, '{}'], ['p2', 0, '{"a":1}'], ['p3', 0, '{}']]);
  await catalog.points.mirror('r1', 's1', [row('p1'), row('p2', '{"a":1}'), row('p3')]);
  assert.equal((await catalog.points.find('p1'))?.lost, 0);
});

test('backups that a clock which was ahead has put into the future keep none of those since out of sight', async () => {
  await using own = await openCatalogOn(sqliteDialect(':memory:'));
  const open = async (atMs: number): Promise<void> => await own.sessions.open({ ...session(String(atMs)), created_ms: atMs });
  for (let n = 0; n < 30; n++) await open(9_000 + n);
  for (const atMs of [1_000, 2_000, 3_000]) await open(atMs);
  const seen = (await own.sessions.backupsSince('s1', 2_000, 5_000)).map(({ created_ms }) => created_ms);
  assert.deepEqual([seen.slice(0, 3), seen.length], [[3_000, 2_000, 9_029], 20]);
});

test('an alarm that is told twice is raised once', async () => {
  await catalog.sets.add({ id: 's1', name: 'rs0', repository: 'r1', sealed_target: '', sign_in: 'none', hosts: '[]', discovered: '{}', added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
  const alarm = { id: 'x', set_id: 's1', at_ms: 1, raised_ms: 2, what: 'broken', says: 'rolled over', backup_session: null, is_settled: 0 };
  assert.equal(await catalog.sets.raiseAlarm(alarm), true);
  assert.equal(await catalog.sets.raiseAlarm(alarm), false);
  await catalog.sets.answerAlarm('x', { backup_session: 'sess' });
  assert.equal((await catalog.sets.unsettledAlarms()).length, 1);
  await catalog.sets.answerAlarm('x', { is_settled: 1 });
  assert.equal((await catalog.sets.unsettledAlarms()).length, 0);
  await catalog.sets.remove('s1');
  assert.deepEqual(await catalog.sets.alarms('s1'), []);
});
