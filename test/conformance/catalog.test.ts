/** One catalog, two dialects: every promise here is kept by SQLite and by PostgreSQL. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isFailure } from '../../src/base/failure.ts';
import { emptyHead } from '../../src/catalog/audit.ts';
import { openCatalogAt, openCatalogOn, type Catalog } from '../../src/catalog/catalog.ts';
import { toldUnprotected } from '../../src/catalog/news.ts';
import { backupWanted, catalogNewer, catalogPlaceBad, catalogUnreachable, laneTaken, serverReplaced } from '../../src/catalog/failures.ts';
import type { Lot, Reached } from '../../src/catalog/history.ts';
import { openPostgres as openDatabase, postgresSettings } from '../../src/catalog/postgres.ts';
import { sqliteDialect } from '../../src/catalog/sqlite.ts';
import { until } from '../../src/base/deadline.ts';
import { makeOlderCatalog, newestMigration } from '../kit/older-catalog.ts';
import { openPostgres, whyNoPostgres, type Postgres } from '../kit/postgres.ts';

const session = (id: string, lane: string | null = null) => ({ id, lane, kind: 'backup', object_kind: 'set', object_id: 's1', object_name: 'rs0', set_id: 's1', sealed_wish: '', created_ms: 1_000, reason: null, retry_of: null });
const repository = { id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null };

/** Of each kind about one object, in place of the usual 20. */
const newestKept = 3;

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
    await catalog.points.add(point);
    assert.deepEqual(await catalog.points.find('p1'), { ...point, hold_since_ms: null, hold_reason: null });
    await catalog.points.mirror('r1', 's1', []);
    assert.equal((await catalog.points.find('p1'))?.lost, 1);
  });

  test('a point that a flow adds again, as it is run again, keeps what was found out about it, and of two proofs at once none is lost', async () => {
    const point = { id: 'p2', set_id: 's1', repository: 'r1', created_ms: 1, summary: '', lost: 0 };
    await catalog.points.add(point);
    await Promise.all(['a', 'b', 'c', 'd'].map(async (proof) => await catalog.points.changeSummary('p2', (summary) => summary + proof)));
    await catalog.points.add(point);
    assert.deepEqual((await catalog.points.find('p2'))!.summary.split('').sort(), ['a', 'b', 'c', 'd']);
    assert.equal(await catalog.points.changeSummary('none', (summary) => summary), false);
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

  test('a snapshot is of one moment: what others write meanwhile is in it as a whole or not at all', async () => {
    const policy = (n: number) => ({ id: `p${n}`, name: `p${n}`, document: '{}', is_enabled: 0, counts_from_ms: 1, next_ms: null, follows: null, added_ms: 1 });
    const orphan = (n: number) => ({ set_id: `s${n}`, policy: `p${n}`, policy_name: `p${n}`, retention: '{}', time_zone: 'UTC', since_ms: 1 });
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    for (const n of numbers) await catalog.policies.add(policy(n));
    const removed = (async () => {
      for (const n of numbers) await catalog.policies.remove(`p${n}`, [orphan(n)]);
    })();
    const found = new Set<number>();
    for (let isDone = false; !isDone; ) {
      const { tables } = await catalog.snapshots.take();
      const [policies, orphans] = [tables['policies']!.map(({ id }) => id), tables['orphans']!.map(({ policy: id }) => id)];
      for (const n of numbers) assert.equal(policies.includes(`p${n}`), !orphans.includes(`p${n}`), `policy ${n}`);
      found.add(orphans.length);
      isDone = orphans.length === numbers.length;
    }
    await removed;
    assert.ok(found.size > 2, 'it was taken while they were removed');
    for (const n of numbers) await catalog.policies.forgetOrphan(`s${n}`);
  });

  test('what people set up is another text when they change it, and not for what policies, sessions and retention do', async () => {
    const steady = async (): Promise<string> => await catalog.snapshots.wishes();
    await catalog.policies.add({ id: 'w1', name: 'w1', document: '{}', is_enabled: 1, counts_from_ms: 1, next_ms: 5, follows: null, added_ms: 1 });
    await catalog.users.add({ id: 'u-wishes', name: 'u-wishes', source: 'local', roles: '[]', password: null, must_change: 0, sealed_totp: null, totp_on: 0, totp_step: 0, is_disabled: 0, directory_key: null, says: null, checked_ms: null, added_ms: 1, last_sign_in_ms: null });
    // A database that counts for itself does so some seconds later.
    const first = await until('the wishes to be steady', 30_000, async () => ((await steady()).length > 0 && (await steady()) === (await steady()) ? await steady() : undefined));
    const run = { id: 'run1', policy: 'w1', state: 'open', why: '', due_ms: 1, missed: 0, skipped: 0, opens_ms: 1, closes_ms: null, full_read: 0, stopping: 0, added_ms: 1, ended_ms: null, says: null };
    await catalog.policies.openRun({ run, parts: [{ run: 'run1', set_id: 's1', set_name: 's', state: 'waiting', attempt: 0, not_before_ms: 1, session: null, says: null }] }, { policy: 'w1', wasMs: 1, fromMs: 2, nextMs: 9 });
    await catalog.settings.put('retention.day', '2026-05-01');
    await catalog.settings.put(`${toldUnprotected}s1`, '1');
    await catalog.sessions.open(session('w1'));
    await catalog.sessions.move('w1', { kind: 'ask-to-stop' }, 1);
    await catalog.points.add({ id: 'w1', set_id: 's1', repository: 'r1', created_ms: 1, summary: '', lost: 0 });
    const token = (kind: string) => ({ id: `${kind}-wishes`, user_id: 'u-wishes', kind, name: null, role: null, hash: `hash of ${kind}`, from_address: '', created_ms: 1, expires_ms: 9e12, used_ms: null });
    await catalog.userTokens.add(token('sign-in'));
    for (let n = 0; n < 20; n++) assert.equal(await steady(), first);
    const changes = [
      async () => await catalog.policies.update('w1', { document: '{"a":1}' }),
      async () => await catalog.settings.put('colour', 'red'),
      async () => await catalog.points.hold('w1', 'audit', 1),
      async () => await catalog.userTokens.add(token('api')),
      async () => void (await catalog.userTokens.revokeAll('u-wishes', { kind: 'api' })),
    ];
    let before = first;
    for (const change of changes) {
      await change();
      before = await until('the change to be seen', 30_000, async () => ((await steady()) === before ? undefined : await steady()), { everyMs: 100 });
    }
  });

  test('a plan is kept with how it ended, and its end is no news, in no report and in no count, also when it is history', async () => {
    const { sessions, history } = catalog;
    const counted = async () => (await sessions.counts()).find(({ kind, state }) => kind === 'restore-set' && state === 'success')?.count ?? 0;
    for (const [id, isPlan] of [['pl1', true], ['pl2', false]] as const) {
      await sessions.open({ ...session(id), kind: 'restore-set', object_id: id, isPlan });
      await sessions.move(id, { kind: 'start' }, 1);
      await sessions.move(id, { kind: 'end', as: 'success' }, 77_000);
    }
    assert.deepEqual([(await sessions.find('pl1'))?.is_plan, (await sessions.find('pl2'))?.is_plan], [1, 0]);
    assert.deepEqual((await sessions.endedBetween(77_000, 77_001, 9)).map(({ id }) => id), ['pl2']);
    assert.deepEqual((await catalog.news.toShare(500)).flatMap(({ ref }) => (ref.startsWith('pl') ? [ref] : [])), ['pl2']);
    assert.equal(await counted(), 1);
    for (let n = 3; n < 26; n++) {
      await sessions.open({ ...session(`pl${n}`), kind: 'restore-set', object_id: 'pl1', isPlan: true });
      await sessions.move(`pl${n}`, { kind: 'start' }, 1);
      await sessions.move(`pl${n}`, { kind: 'end', as: 'success' }, 77_001);
    }
    await history.forgetSessions(77_002, { ms: 76_999, id: '' }, 500);
    assert.equal(await sessions.find('pl1'), undefined, 'an old plan goes');
    assert.equal(await counted(), 1);
  });

  test('history that is old goes with all that was said in it, but for the newest of each kind and what something still names, and is counted as before', async () => {
    const { sessions, history } = catalog;
    const ended = async (id: string, about: Partial<Omit<ReturnType<typeof session>, 'set_id'> & { set_id: string | null }>, endedMs: number): Promise<void> => {
      await sessions.open({ ...session(id), set_id: 'hs', ...about });
      await sessions.putNote(id, 'n', 'v');
      await sessions.addTask({ task_id: id, session: id, name: 't', kind: 'prove', host: 'h' });
      await sessions.move(id, { kind: 'start' }, 1);
      await sessions.move(id, { kind: 'end', as: 'success' }, endedMs);
    };
    for (let n = 0; n < 8; n++) await ended(`h${n}`, { object_id: 'hs' }, n + 1);
    for (let n = 0; n < 5; n++) await ended(`hp${n}`, { kind: 'verify', object_kind: 'point', object_id: `point${n}` }, 5);
    for (let n = 0; n < 5; n++) await ended(`hy${n}`, { kind: 'sweep', object_kind: 'repository', object_id: 'hr', set_id: null }, 50);
    await sessions.open({ ...session('ho'), object_id: 'hs', set_id: 'hs' });
    await catalog.sets.add({ id: 'hs', name: 'hs', repository: 'r1', sealed_target: '', sign_in: '', hosts: '', discovered: '{}', added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
    const alarm = { set_id: 'hs', raised_ms: 1, what: 'gap', says: '', is_settled: 1 };
    await catalog.sets.raiseAlarm({ ...alarm, id: 'ha0', at_ms: 0, backup_session: 'h0', is_settled: 0 });
    for (let n = 1; n < 6; n++) await catalog.sets.raiseAlarm({ ...alarm, id: `ha${n}`, at_ms: n, backup_session: null });
    await catalog.publications.add({ id: 'hb', set_id: 'hs', set_name: 'hs', point: 'p', at: '', session: 'h1', started_ms: 1, expires_ms: 2, state: 'ready', uri: null, says: null });
    const run = { state: 'open', why: '', due_ms: 1, missed: 0, skipped: 0, opens_ms: 1, closes_ms: null, full_read: 0, stopping: 0, added_ms: 1, ended_ms: null, says: null };
    const part = { set_id: 'hs', set_name: 's', state: 'running', attempt: 0, not_before_ms: 1, session: null, says: null };
    await catalog.policies.add({ id: 'hq', name: 'hq', document: '{}', is_enabled: 1, counts_from_ms: 1, next_ms: 5, follows: null, added_ms: 1 });
    for (const policy of ['hq', 'hgone']) {
      for (let n = 0; n < 5; n++) {
        await catalog.policies.openRun({ run: { ...run, id: `${policy}${n}`, policy }, parts: [{ ...part, run: `${policy}${n}`, session: `${policy === 'hq' ? 'h' : 'none'}${n}` }] }, null);
        if (policy === 'hgone' || n < 4) await catalog.policies.endRun(`${policy}${n}`, { state: 'success', ended_ms: n + 1, says: null }, null, []);
      }
    }
    const counts = await sessions.counts();
    const pass = async (forget: (from: Reached | null) => Promise<Lot>): Promise<number> => {
      let gone = 0;
      for (let from: Reached | null = null; ; ) {
        const lot: Lot = await forget(from);
        gone += lot.gone;
        from = lot.reached;
        if (from === null) return gone;
      }
    };
    assert.equal(await history.forgetSettled(20), 2, 'alarms that are settled, but for the newest three');
    assert.equal(await pass(async (from) => await history.forgetRuns(20, from, 2)), 2 + 5);
    assert.deepEqual([(await catalog.policies.runs('hq', 9)).map(({ id }) => id), await catalog.policies.runs('hgone', 9), (await catalog.policies.parts('hq0')).length], [['hq4', 'hq3', 'hq2'], [], 0]);
    await pass(async (from) => await history.forgetSessions(20, from, 4));
    const left = await sessions.list({ setId: 'hs', limit: 50 });
    // h0 is an alarm's, h1 a publication's, h2 to h4 of runs; h6, h7 and the open one are the newest three.
    assert.deepEqual(left.map(({ id }) => id).filter((id) => !id.startsWith('hp')).sort(), ['h0', 'h1', 'h2', 'h3', 'h4', 'h6', 'h7', 'ho']);
    assert.deepEqual(left.map(({ id }) => id).filter((id) => id.startsWith('hp')).sort(), ['hp2', 'hp3', 'hp4'], 'of points of a set, not of each point');
    assert.equal((await sessions.list({ kind: 'sweep', limit: 50 })).length, 5, 'what is young stays');
    assert.deepEqual([await sessions.events('h5', 0, 9), await sessions.note('h5', 'n'), await sessions.task('h5', 't')], [[], undefined, undefined]);
    assert.equal(await sessions.note('h4', 'n'), 'v');
    assert.deepEqual(await sessions.counts(), counts, 'a counter never goes down');
    assert.equal(await pass(async (from) => await history.forgetSessions(20, from, 4)), 0);
  });

  test('the policies of a set are found by what their documents name now', async () => {
    const row = { id: 'n1', name: 'n1', is_enabled: 1, counts_from_ms: 1, next_ms: 5, follows: null, added_ms: 1 };
    await catalog.policies.add({ ...row, document: JSON.stringify({ groups: ['ng'], sets: ['ns', 'ns'], description: 'nx' }) });
    const found = async (...ids: string[]) => (await catalog.policies.naming(ids)).map(({ id }) => id);
    assert.deepEqual([await found('ns', 'ng'), await found('ng'), await found('nx')], [['n1'], ['n1'], []]);
    await catalog.policies.update('n1', { document: JSON.stringify({ sets: ['nt'] }) });
    assert.deepEqual([await found('ns', 'ng'), await found('nt')], [[], ['n1']]);
    await catalog.policies.update('n1', { is_enabled: 0 });
    assert.deepEqual(await found('nt'), ['n1']);
    await catalog.policies.remove('n1', []);
    assert.deepEqual(await found('nt'), []);
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

describe('SQLite', () => keepsItsPromises(async () => await openCatalogOn(sqliteDialect(':memory:'), { newestKept })));

describe('PostgreSQL', { skip: whyNoPostgres() }, () => {
  let postgres: Postgres;
  before(async () => void (postgres = await openPostgres()));
  after(async () => await postgres[Symbol.asyncDispose]());

  describe('the same', () => keepsItsPromises(async () => await openCatalogAt(postgres.create('same'), { newestKept })));

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
    await makeOlderCatalog(openDatabase(place, () => {}).plain as never);
    await assert.rejects(openCatalogAt(place), (error) => isFailure(error, backupWanted) && error.message.includes(newestMigration));
    assert.equal(postgres.sql(`select count(*) from kysely_migration where name = '${newestMigration}'`, 'older'), '0');
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
