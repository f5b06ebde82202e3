/**
 * Two servers on one PostgreSQL, one of which is killed or paused at a random step of a backup: the other one ends the
 * session within its lease, every task was begun once and every point is there once. `TIDEMARK_ROUNDS=50` for more rounds.
 */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import { say } from '../kit/fake-transport.ts';
import { whyNoPostgres } from '../kit/postgres.ts';
import { chanceFrom } from '../kit/seeded.ts';
import { connected, openDiallingHost, openServerPair, type OneServer, type ServerPair } from '../kit/server-pair.ts';

const skip = whyNoPostgres();
const rounds = Number(process.env['TIDEMARK_ROUNDS'] ?? '8');
const { seed, below } = chanceFrom(process.env['TIDEMARK_SEED'] === undefined ? undefined : Number(process.env['TIDEMARK_SEED']));
const leaseMs = 3_000;
let pair: ServerPair;

before(async () => void (skip === false && (pair = await openServerPair(leaseMs))));
after(async () => await pair?.[Symbol.asyncDispose]());

const ended = async (server: OneServer, id: string): Promise<any> =>
  await until(`session ${id} to end`, 60_000, async () => {
    const session = await server.ask('GET', `/api/v1/sessions/${id}`);
    return session.endedAtMs === null ? undefined : session;
  }, { everyMs: 50 });

/** Each task takes a few turns, so that there is something to be killed in. */
function slow(): void {
  for (const kind of ['backup', 'prove'] as const) {
    const usual = pair.fake.scripts[kind] as (input: unknown, voice: Parameters<typeof say>[0]) => Promise<never>;
    Object.assign(pair.fake.scripts, {
      [kind]: async (input: unknown, voice: Parameters<typeof say>[0]) => {
        for (let turn = 0; turn < 5; turn++) {
          say(voice, `${kind} turn ${turn}`);
          await systemClock.wait(30);
        }
        return await usual(input, voice);
      },
    });
  }
}

test(`a server killed or paused at a random step is taken over from, and nothing is done twice: ${rounds} rounds, seed ${seed}`, { skip }, async (t) => {
  slow();
  const { fake, servers, postgres } = pair;
  const tallies = { killed: 0, paused: 0, owner: 0, slowestMs: 0 };
  for (let round = 0; round < rounds; round++) {
    const begunBefore = fake.begun.length;
    const startedBy = servers[below(2)]!;
    const struck = servers[below(2)]!;
    const survivor = servers.find((one) => one !== struck)!;
    const { id } = await startedBy.ask('POST', '/api/v1/sets/rs0/backups', {});
    assert.ok(typeof id === 'string', `round ${round}`);
    const moment = below(700);
    await systemClock.wait(moment);
    const isPaused = below(3) === 0;
    const from = systemClock.monotonicMs();
    if (isPaused) struck.signal('SIGSTOP');
    else await struck.kill9();
    const session = await ended(survivor, id);
    const tookMs = systemClock.monotonicMs() - from;
    const what = `round ${round}: ${struck.name} ${isPaused ? 'paused' : 'killed'} ${moment} ms after ${startedBy.name} began`;
    assert.equal(session.state, 'success', `${what}: ${JSON.stringify(session.failure)}`);
    const begun = fake.begun.slice(begunBefore).map(({ kind }) => kind).filter((kind) => kind !== 'oplog').sort();
    assert.deepEqual(begun, ['backup', 'prove'], what);
    const { points } = await survivor.ask('GET', '/api/v1/points');
    assert.equal(points.length, round + 1, what);
    assert.deepEqual(points.map((point: { proof: { ok: boolean } | null }) => point.proof?.ok), points.map(() => true), what);
    const said = postgres.sql(`select count(*), count(distinct event::json->>'text') from session_events where session = '${id}' and event like '%turn %'`, 'shared');
    assert.equal(said, '10|10', `${what}: each line once`);
    if (isPaused) {
      await until('the lease of the paused one to be over', 20_000, () => (postgres.sql('select count(*) from servers', 'shared') === '1' ? true : undefined), { everyMs: 100 });
      const starts = struck.codes.length;
      struck.signal('SIGCONT');
      assert.equal(await until('the paused one to find that it was replaced', 30_000, () => struck.codes[starts]), 7, what);
    } else await struck.start();
    await until('every task to be forgotten', 10_000, () => ([...fake.tasks.values()].every(({ kind }) => kind === 'oplog') ? true : undefined), { everyMs: 50 }).catch(() => {});
    await connected(struck);
    tallies[isPaused ? 'paused' : 'killed']++;
    if (struck === startedBy) tallies.owner++;
    t.diagnostic(`${what}: over after ${Math.round(tookMs)} ms`);
    tallies.slowestMs = Math.max(tallies.slowestMs, Math.round(tookMs));
  }
  t.diagnostic(JSON.stringify({ rounds, seed, ...tallies }));
  const followers = fake.begun.filter(({ kind }) => kind === 'oplog');
  assert.equal(followers.length, 1, 'the oplog was followed by one task all the time');
});

test('what is asked of one server is done at the other, and shown at both', { skip }, async () => {
  const [a, b] = pair.servers;
  const usual = pair.fake.scripts.backup;
  pair.fake.scripts.backup = async (_input, voice) => {
    await new Promise<void>((resolve) => voice.signal.addEventListener('abort', () => resolve(), { once: true }));
    throw voice.signal.reason as Error;
  };
  const { id } = await a.ask('POST', '/api/v1/sets/rs0/backups', {});
  await until('the task', 10_000, async () => ((await b.ask('GET', `/api/v1/sessions/${id}`)).steps.length >= 2 ? true : undefined), { everyMs: 30 });
  assert.equal((await b.ask('POST', '/api/v1/sets/rs0/backups', {})).code, 'server.set-busy');
  await b.ask('POST', `/api/v1/sessions/${id}/stop`, {});
  assert.equal((await ended(b, id)).state, 'stopped');
  pair.fake.scripts.backup = usual;
  assert.equal((await b.ask('GET', '/api/v1/sets/rs0')).oplog.state, 'following');
});

test('a host that dials in has a link to both, works on when one of them is killed, and finds that one at its next address', { skip }, async () => {
  const [a, b] = pair.servers;
  const outpost = await openDiallingHost(pair, 'outpost');
  try {
    await Promise.all([connected(a, 'outpost'), connected(b, 'outpost')]);
    assert.equal(outpost.servers.length, 2, 'the server of its kit told it of the other one');
    const hook = await a.ask('POST', '/api/v1/hooks', { set: 'rs0', moment: 'before', host: 'outpost', program: 'quiet', args: [], deadlineSeconds: 60, onFailure: 'fail' });
    assert.equal(hook.host, 'outpost', JSON.stringify(hook));
    const usual = outpost.scripts['run-hook'];
    const go = Promise.withResolvers<void>();
    outpost.scripts['run-hook'] = async (input, voice) => {
      await go.promise;
      return await usual(input, voice);
    };
    const before = outpost.servers;
    const first = (await a.ask('POST', '/api/v1/sets/rs0/backups', {})).id as string;
    await until('the hook at the host', 20_000, () => (outpost.begun.length === 1 ? true : undefined), { everyMs: 20 });
    await a.kill9();
    go.resolve();
    assert.equal((await ended(b, first)).state, 'success');
    assert.equal(outpost.begun.length, 1, 'the other server followed what was begun');

    await a.start();
    await connected(a, 'outpost');
    assert.notDeepEqual(outpost.servers, before, 'its ports are others since');
    await b.kill9();
    assert.equal((await ended(a, (await a.ask('POST', '/api/v1/sets/rs0/backups', {})).id)).state, 'success');
    assert.equal(outpost.begun.length, 2);
    await b.start();
    await connected(b, 'outpost');
    assert.equal((await a.ask('DELETE', `/api/v1/hooks/${hook.id}`)).id, hook.id);
  } finally {
    await outpost.close();
  }
});

test('a database that was away takes no session with it: they go on when it answers, and say so', { skip }, async () => {
  const [a, b] = pair.servers;
  const begunBefore = pair.fake.begun.length;
  const { id } = await a.ask('POST', '/api/v1/sets/rs0/backups', {});
  await until('the backup to begin', 10_000, () => (pair.fake.begun.length > begunBefore ? true : undefined), { everyMs: 5 });
  pair.postgres.stop('immediate');
  assert.equal((await b.ask('GET', '/api/v1/sets')).code, 'catalog.unreachable');
  pair.postgres.start();
  const session = await until('the session', 60_000, async () => {
    const found = await b.ask('GET', `/api/v1/sessions/${id}`);
    return found.endedAtMs == null ? undefined : found;
  }, { everyMs: 100 });
  assert.equal(session.state, 'success', JSON.stringify(session));
  assert.deepEqual(pair.fake.begun.slice(begunBefore).map(({ kind }) => kind), ['backup', 'prove']);
  assert.match(pair.postgres.sql(`select event from session_events where session = '${id}'`, 'shared'), /does not answer: .*it answers again, and the session goes on/);
});

test('a server with other secrets is refused by name before it has changed anything', { skip }, async () => {
  const [, b] = pair.servers;
  await b.kill9();
  renameSync(join(b.data, 'server/ca.json'), join(b.data, 'ca.kept'));
  const rows = pair.postgres.sql('select count(*) from certificates', 'shared');
  await b.start(false);
  await until('the refusal', 60_000, () => (/master key or the authority of this server is not that/.test(readFileSync(join(b.data, 'log'), 'utf8')) ? true : undefined), { everyMs: 100 });
  await b.kill9();
  assert.equal(pair.postgres.sql('select count(*) from certificates', 'shared'), rows);
});
