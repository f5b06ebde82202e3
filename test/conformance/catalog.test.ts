/** One catalog, two dialects: every promise here is kept by SQLite and by PostgreSQL. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { emptyHead } from '../../src/catalog/audit.ts';
import { openCatalogAt, openCatalogOn, type Catalog } from '../../src/catalog/catalog.ts';
import { backupWanted, catalogNewer, catalogPlaceBad, catalogUnreachable, laneTaken, serverReplaced } from '../../src/catalog/failures.ts';
import { postgresSettings } from '../../src/catalog/postgres.ts';
import { sqliteDialect } from '../../src/catalog/sqlite.ts';
import { until } from '../../src/base/deadline.ts';
import { openPostgres, whyNoPostgres, type Postgres } from '../kit/postgres.ts';

const session = (id: string, lane: string | null = null) => ({ id, lane, kind: 'backup', object_kind: 'set', object_id: 's1', object_name: 'rs0', set_id: 's1', sealed_wish: '', created_ms: 1_000, reason: null, retry_of: null });
const repository = { id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null };

function keepsItsPromises(open: () => Promise<Catalog>): void {
  let catalog: Catalog;
  before(async () => void (catalog = await open()));
  after(async () => await catalog.close());

  test('of many who want one lane at once one has it, and the others are told who', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 12 }, async (_, n) => await catalog.sessions.open(session(`a${n}`, 'backup:s1'))));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    const [holder] = await catalog.sessions.list({ setId: 's1', limit: 20 });
    for (const each of tries) if (each.status === 'rejected') assert.ok(isFailure(each.reason, laneTaken) && each.reason.details['session'] === holder!.id, String(each.reason));
  });

  test('many who write to one session at once lose no event and give no number twice', async () => {
    await catalog.sessions.open(session('b1'));
    const numbers = await Promise.all(Array.from({ length: 60 }, (_, n) => catalog.sessions.append('b1', n, { kind: 'line', level: 'info', text: `${n}` })));
    assert.deepEqual([...numbers].sort((a, b) => a - b), Array.from({ length: 60 }, (_, n) => n + 2));
  });

  test('of many who end a session at once one does', async () => {
    await catalog.sessions.open(session('c1'));
    await catalog.sessions.move('c1', { kind: 'start' }, 1);
    const moves = await Promise.all((['success', 'failed', 'stopped'] as const).map((as) => catalog.sessions.move('c1', { kind: 'end', as }, 2)));
    assert.equal(moves.filter((move) => move !== 'refused').length, 1);
  });

  test('numbers, nulls and text come back as they went in', async () => {
    await catalog.repositories.add(repository);
    const point = { id: 'p1', set_id: 's1', repository: 'r1', created_ms: 1_790_000_000_123, summary: '{"a":"ä \\" € 😀"}', lost: 0 };
    await catalog.points.put(point);
    assert.deepEqual(await catalog.points.find('p1'), { ...point, hold_since_ms: null, hold_reason: null });
    await catalog.points.mirror('r1', 's1', []);
    assert.equal((await catalog.points.find('p1'))?.lost, 1);
  });

  test('steps are found among events, and a name that is taken is not taken twice', async () => {
    await catalog.sessions.append('b1', 1, { kind: 'step', step: 'one' });
    assert.deepEqual((await catalog.sessions.steps('b1')).map(({ event }) => JSON.parse(event).step), ['one']);
    const role = { name: 'night', permissions: '[]', objects: null, targets: null, added_ms: 1 };
    assert.deepEqual([await catalog.roles.add(role), await catalog.roles.add(role)], [true, false]);
  });

  test('wrong passwords at once are counted one by one', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await catalog.attempts.begin('n', { allowed: 5, windowMs: 60_000, lockMs: 1_000 }, 10)));
    assert.equal(answers.filter((until) => until === null).length, 5);
  });

  test('rows of the audit that are written at once are one chain', async () => {
    const entry = { at_ms: 1, who: 'w', from_address: 'f', what: 'x', object: 'o', outcome: 'done', reason: null };
    const hashOf = (row: { number: number }, before: string): string => `${row.number}<${before.slice(0, 8)}`;
    const heads = [emptyHead];
    for (let n = 0; n < 5; n++) heads.push(await catalog.audit.append(entry, heads.at(-1)!, hashOf));
    const rows = await catalog.audit.after(0, 10);
    assert.deepEqual(rows.map(({ hash }) => hash), heads.slice(1).map(({ hash }) => hash));
  });

  test('a replaced server writes nothing about sessions any more, and its sessions are free for others', async () => {
    await catalog.servers.register('one', '1', 60_000);
    await catalog.sessions.open(session('d1'));
    assert.equal((await catalog.sessions.find('d1'))?.server, (await catalog.servers.list())[0]?.id);
    assert.equal(await catalog.servers.renew(60_000), true);
    assert.equal(await catalog.servers.takeDuty('schedules'), true);
    assert.deepEqual(await catalog.servers.endLapsed(), []);
    await catalog.servers.leave();
    assert.equal(await catalog.servers.renew(60_000), false);
    const writes = [
      async () => await catalog.sessions.open(session('d2')),
      async () => void (await catalog.sessions.append('d1', 1, { kind: 'line', level: 'info', text: 'late' })),
      async () => void (await catalog.sessions.move('d1', { kind: 'start' }, 1)),
      async () => await catalog.sessions.putNote('d1', 'n', 'v'),
      async () => await catalog.sessions.addTask({ task_id: 't', session: 'd1', name: 't', kind: 'backup', host: 'h' }),
      async () => void (await catalog.sessions.claim(1)),
    ];
    for (const write of writes) await assert.rejects(write(), (error) => isFailure(error, serverReplaced));
    await catalog.servers.register('one', '1', 60_000);
    assert.ok((await catalog.sessions.claim(100)).some(({ id }) => id === 'd1'));
    assert.deepEqual(await catalog.sessions.claim(100), []);
  });
}

describe('SQLite', () => keepsItsPromises(async () => await openCatalogOn(sqliteDialect(':memory:'))));

describe('PostgreSQL', { skip: whyNoPostgres() }, () => {
  let postgres: Postgres;
  before(async () => void (postgres = await openPostgres()));
  after(async () => await postgres[Symbol.asyncDispose]());

  describe('the same', () => keepsItsPromises(async () => await openCatalogAt(postgres.create('same'))));

  test('two servers that start at once on an empty database migrate it once', async () => {
    const place = postgres.create('twice');
    await using one = await openCatalogAt(place);
    const catalogs = await Promise.all([openCatalogAt(postgres.create('together')), openCatalogAt({ ...place, url: place.url.replace('twice', 'together') }), openCatalogAt({ ...place, url: place.url.replace('twice', 'together') })]);
    await Promise.all(catalogs.map(async (catalog) => await catalog.close()));
    assert.equal(postgres.sql('select count(*) from kysely_migration', 'together'), postgres.sql('select count(*) from kysely_migration', 'twice'));
    assert.equal(one.kind, 'postgres');
  });

  test('a catalog of a newer version is refused and left as it is', async () => {
    const place = postgres.create('newer');
    await (await openCatalogAt(place)).close();
    postgres.sql("insert into kysely_migration values ('0999-from-the-future', '2030')", 'newer');
    await assert.rejects(openCatalogAt(place), (error) => isFailure(error, catalogNewer));
  });

  test('a catalog of an older version is left as it is until somebody has said that it was backed up', async () => {
    const place = postgres.create('older');
    await (await openCatalogAt(place)).close();
    postgres.sql("alter table sets drop column oplog_mode; delete from kysely_migration where name = '0021-oplog-mode'", 'older');
    await assert.rejects(openCatalogAt(place), (error) => isFailure(error, backupWanted) && error.message.includes('0021-oplog-mode'));
    assert.equal(postgres.sql("select count(*) from kysely_migration where name = '0021-oplog-mode'", 'older'), '0');
    await using upgraded = await openCatalogAt({ ...place, isBackedUp: true });
    assert.deepEqual(await upgraded.servers.list(), []);
  });

  test('of two servers, one does a duty and owns a session, until its lease is over by the clock of the database', async () => {
    const place = postgres.create('pair');
    await using a = await openCatalogAt(place);
    await using b = await openCatalogAt(place);
    await a.servers.register('a', '1', 400);
    await b.servers.register('b', '1', 60_000);
    await a.sessions.open(session('x1', 'lane'));
    assert.deepEqual([await a.servers.takeDuty('schedules'), await b.servers.takeDuty('schedules')], [true, false]);
    assert.deepEqual(await b.sessions.claim(10), []);
    const ended = await until('the lease to be over', 10_000, async () => {
      const rows = await b.servers.endLapsed();
      return rows.length > 0 ? rows : undefined;
    });
    assert.deepEqual(ended.map(({ name }) => name), ['a']);
    await assert.rejects(a.sessions.append('x1', 1, { kind: 'line' }), (error) => isFailure(error, serverReplaced));
    assert.deepEqual((await b.sessions.claim(10)).map(({ id }) => id), ['x1']);
    assert.equal(await b.servers.takeDuty('schedules'), true);
  });

  test('many servers that claim at once share the sessions and have none twice', async () => {
    const place = postgres.create('claims');
    const catalogs = await Promise.all(Array.from({ length: 4 }, async () => await openCatalogAt(place)));
    for (const [n, catalog] of catalogs.entries()) await catalog.servers.register(`s${n}`, '1', 60_000);
    await using outsider = await openCatalogAt(place);
    for (let n = 0; n < 40; n++) await outsider.sessions.open(session(`s${n}`));
    const claimed: string[] = [];
    await Promise.all(catalogs.map(async (catalog) => {
      for (let some = await catalog.sessions.claim(3); some.length > 0; some = await catalog.sessions.claim(3)) claimed.push(...some.map(({ id }) => id));
    }));
    assert.deepEqual([claimed.length, new Set(claimed).size], [40, 40]);
    await Promise.all(catalogs.map(async (catalog) => await catalog.close()));
  });

  test('while the database is away each question fails by name, and the first one after it is answered', async () => {
    await using catalog = await openCatalogAt(postgres.create('away'));
    let told = 0;
    catalog.onAway(() => told++);
    await catalog.settings.put('k', 'v');
    postgres.stop('immediate');
    await assert.rejects(catalog.settings.get('k'), (error) => isFailure(error, catalogUnreachable));
    assert.ok(told > 0);
    postgres.start();
    assert.equal(await until('an answer', 20_000, async () => await catalog.settings.get('k').catch(() => undefined)), 'v');
  });
});

test('an address of a database has no password in it, and speaks TLS unless it is this machine', () => {
  const refused = (url: string): string => {
    try {
      postgresSettings(url);
    } catch (error) {
      assert.ok(isFailure(error, catalogPlaceBad));
      assert.doesNotMatch(error.message, /secret/);
      return error.message;
    }
    return '';
  };
  assert.match(refused('postgres://u:secret@db/x'), /password/);
  assert.match(refused('mysql://u@db/x'), /postgres:/);
  assert.match(refused('postgres://db/x'), /missing/);
  assert.match(refused('postgres://u@db/x?sslmode=disable'), /this machine/);
  assert.match(refused('postgres://u@db/x?sslmode=prefer'), /verify-full or disable/);
  assert.match(refused('postgres://u@db/x?host=other'), /host is not known/);
  assert.deepEqual(postgresSettings('postgres://u@db.example/x'), { host: 'db.example', port: 5432, database: 'x', user: 'u', ssl: { ca: undefined } });
  assert.deepEqual(postgresSettings('postgres://u@[::1]:5433/x').ssl, false);
});
