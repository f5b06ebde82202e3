import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure } from '../base/failure.ts';
import { until } from '../base/deadline.ts';
import type { Session } from '../contract/sessions.ts';
import { backupResult, eventsOf, pointAnswer, sessionAnswer, windowAnswer } from '../../test/kit/answers.ts';
import { openCommandLine } from '../../test/kit/command-line.ts';
import { openRestServer, type Answers } from '../../test/kit/rest-server.ts';

const setBusy = failure<{ set: string }>('server.set-busy', { says: ({ set }) => `a session works on ${set}`, hint: 'Wait for it.', retry: 'later' });

/** A session that is started by one route and has ended when it is looked at. */
function ending(end: Partial<Session>, started: Partial<Session> = {}): Answers {
  return {
    'backup.run': () => sessionAnswer(started),
    'session.events': () => eventsOf({ kind: 'step', step: 'choose a member' }, { kind: 'line', level: 'info', text: 'source: db2:27018' }, { kind: 'step', step: 'copy' }, { kind: 'state', state: end.state ?? 'success' }),
    'session.show': () => sessionAnswer({ endedAtMs: 1_795_464_570_000, state: 'success', result: backupResult, ...started, ...end }),
  };
}

test('a backup prints its steps on stderr and one document on stdout', async () => {
  await using server = await openRestServer(ending({}));
  await using cli = await openCommandLine(server);
  const { code, json, stderr } = await cli.run('backup', 'run', 'rs0', '--json');
  assert.equal(code, 0);
  assert.deepEqual(json, {
    session: '0193bb',
    state: 'success',
    kind: 'backup',
    point: '0193aa',
    method: 'clone',
    copied: 'incremental',
    bytes: { processed: 3_500_000_000, read: 1_200_000_000, transferred: 90_000_000, stored: 41_000_000 },
    seconds: 4.2,
    lockedMs: 0,
    verified: true,
  });
  assert.equal(stderr, 'backup rs0: choose a member\nbackup rs0: source: db2:27018\nbackup rs0: copy\n');
});

test('the same backup for a person says what was stored and that it was opened', async () => {
  await using server = await openRestServer(ending({}));
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('backup', 'run', 'rs0');
  assert.equal(code, 0);
  assert.equal(stdout, 'incremental restore point 0193aa\ncopied by clone in 4.2 s; opened and looked at\n3.5 GB protected, 1.2 GB read, 90.0 MB new, 41.0 MB stored\n');
});

test('a failed session prints message, code and hint, and the document carries the failure', async () => {
  const wire = { code: 'agent.proof-failed', message: 'point 0193aa did not pass', hint: 'Do not rely on it.', retry: 'now', details: {} } as const;
  await using server = await openRestServer(ending({ state: 'failed', result: null, failure: wire }));
  await using cli = await openCommandLine(server);
  const { code, json, stderr } = await cli.run('backup', 'run', 'rs0', '--json');
  assert.equal(code, 1);
  assert.equal(json.state, 'failed');
  assert.equal(json.point, null);
  assert.equal(json.verified, false);
  assert.deepEqual(json.failure, wire);
  assert.match(stderr, /tidemark: point 0193aa did not pass {2}\[agent\.proof-failed\]\n {5}Do not rely on it\.\n$/);
});

test('warnings end with 3, a busy set with 5, a refused token with 4', async () => {
  await using server = await openRestServer(ending({ state: 'warning', warnings: 2 }));
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('backup', 'run', 'rs0')).code, 3);

  server.answers = { 'backup.run': () => Promise.reject(setBusy({ set: 'rs0' })) };
  const busy = await cli.run('backup', 'run', 'rs0', '--json');
  assert.equal(busy.code, 5);
  assert.equal(busy.json.failure.code, 'server.set-busy');

  await writeFile(join(cli.directory, 'token'), 'another token\n');
  assert.equal((await cli.run('backup', 'run', 'rs0')).code, 4);
});

test('--detach prints the session and returns without watching it', async () => {
  await using server = await openRestServer({ 'backup.run': () => sessionAnswer() });
  await using cli = await openCommandLine(server);
  const { code, json } = await cli.run('backup', 'run', 'rs0', '--detach', '--json');
  assert.equal(code, 0);
  assert.deepEqual(json, { session: '0193bb', kind: 'backup', state: 'working' });
  assert.equal((await cli.run('backup', 'run', 'rs0', '--detach')).stdout, '0193bb\n');
  assert.ok(!server.asked.some((asked) => asked.startsWith('session.events')));
});

test('Ctrl-C asks the session to stop and waits for its end', async () => {
  const stop = Promise.withResolvers<void>();
  await using server = await openRestServer({
    'backup.run': () => sessionAnswer(),
    async *'session.events'() {
      yield* eventsOf({ kind: 'step', step: 'copy' });
      await stop.promise;
      yield { number: 2, atMs: 0, event: { kind: 'state', state: 'stopped' } };
    },
    'session.stop': () => {
      stop.resolve();
      return sessionAnswer();
    },
    'session.show': () => sessionAnswer({ state: 'stopped' }),
  });
  await using cli = await openCommandLine(server);
  const running = cli.run('backup', 'run', 'rs0', '--json');
  await until('the first step', 10_000, () => (cli.stderr().includes('copy') ? true : undefined));
  assert.ok(cli.interrupt());
  const { code, json, stderr } = await running;
  assert.equal(code, 1);
  assert.equal(json.state, 'stopped');
  assert.match(stderr, /stopping; press Ctrl-C again to leave it running/);
  assert.ok(server.asked.includes('session.stop 0193bb'));
  assert.equal(cli.interrupt(), false, 'Ctrl-C has its usual effect again');
});

test('a second Ctrl-C leaves the session running and returns', async () => {
  const never = Promise.withResolvers<void>();
  await using server = await openRestServer({
    'backup.run': () => sessionAnswer(),
    async *'session.events'() {
      yield* eventsOf({ kind: 'step', step: 'copy' });
      await never.promise;
    },
    'session.stop': () => sessionAnswer(),
    'session.show': () => sessionAnswer(),
  });
  await using cli = await openCommandLine(server);
  const running = cli.run('backup', 'run', 'rs0');
  await until('the first step', 10_000, () => (cli.stderr().includes('copy') ? true : undefined));
  cli.interrupt();
  await until('the session to be asked', 10_000, () => (server.asked.includes('session.stop 0193bb') ? true : undefined));
  cli.interrupt();
  const { code, stdout, stderr } = await running;
  never.resolve();
  assert.equal(code, 1);
  assert.equal(stdout, '0193bb\n');
  assert.match(stderr, /left running; see "tidemark session watch 0193bb"/);
});

test('a server that goes away while a session is watched is waited for, and the watch goes on where it was', async () => {
  const asked: number[] = [];
  const gone = Promise.withResolvers<void>();
  await using server = await openRestServer({
    'backup.run': () => sessionAnswer(),
    async *'session.events'({ query }) {
      asked.push(query.after);
      if (query.after === 0) {
        yield* eventsOf({ kind: 'step', step: 'copy' }, { kind: 'step', step: 'store' });
        await gone.promise;
      }
      yield { number: 3, atMs: 0, event: { kind: 'state', state: 'success' } };
    },
    'session.show': () => sessionAnswer({ state: 'success', result: backupResult }),
  });
  await using cli = await openCommandLine(server);
  const running = cli.run('backup', 'run', 'rs0');
  await until('the second step', 10_000, () => (cli.stderr().includes('store') ? true : undefined));
  await server.away();
  await until('the break to be seen', 10_000, () => (cli.stderr().includes('the server is away') ? true : undefined));
  await server.listen();
  const { code, stderr } = await running;
  gone.resolve();
  assert.equal(code, 0);
  assert.deepEqual(asked, [0, 2]);
  assert.match(stderr, /the server is back/);
});

test('a server with another certificate authority is not trusted, whatever it says', async () => {
  await using server = await openRestServer(ending({}));
  await using other = await openRestServer({});
  await using cli = await openCommandLine(server);
  await writeFile(join(cli.directory, 'ca.pem'), other.ca);
  const { code, stderr } = await cli.run('backup', 'run', 'rs0');
  assert.equal(code, 1);
  assert.match(stderr, /\[cli\.server-not-trusted\]/);
  assert.deepEqual(server.asked, []);
});

test('a server that is not there is named with what to do', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  await server.away();
  const { code, stderr } = await cli.run('set', 'list');
  assert.equal(code, 1);
  assert.match(stderr, /no answer from https:\/\/127\.0\.0\.1:\d+.*nothing listens there {2}\[cli\.server-unreachable\]\n.*tidemark up/);
});

test('without any server in sight the failure says where it looked', async () => {
  await using cli = await openCommandLine();
  const { code, stderr, json } = await cli.run('set', 'list', '--json');
  assert.equal(code, 1);
  assert.equal(json.failure.code, 'cli.token-missing');
  assert.match(stderr, /--token-file or TIDEMARK_TOKEN_FILE/);
});

test('a server that "tidemark up" runs here is found without a word', async () => {
  await using server = await openRestServer({ 'set.list': () => ({ sets: [] }) });
  await using cli = await openCommandLine(server, { settings: {} });
  const data = cli.surroundings.dataDirectories[0]!;
  await mkdir(data);
  await writeFile(join(data, 'up.json'), JSON.stringify({ url: server.url, tokenFile: join(cli.directory, 'token') }));
  assert.deepEqual((await cli.run('set', 'list', '--json')).json, { sets: [] });
});

test('a server is found by its token file, on whatever port it is', async () => {
  await using server = await openRestServer({ 'set.list': () => ({ sets: [] }) });
  await using cli = await openCommandLine(server, { settings: {} });
  const tokenFile = join(cli.directory, 'token');
  await writeFile(join(cli.directory, 'up.json'), JSON.stringify({ url: server.url, tokenFile }));
  assert.deepEqual((await cli.run('set', 'list', '--json', '--token-file', tokenFile)).json, { sets: [] });
});

test('an answer that is not the contract\'s is refused rather than shown', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  server.lies = { 'set.list': { sets: 'many' } };
  assert.match((await cli.run('set', 'list')).stderr, /to set\.list is not what this version expects: sets: .*\[cli\.answer-not-understood\]/);
});

test('a window names what is damaged, and the restore point that cannot be restored for it', async () => {
  const damaged = [
    { object: 'sets/x/points/0193ab', what: 'sets/x/points/0193ab is damaged: its bytes are not those that were written', point: '0193ab' },
    { object: 'sets/x/proofs/0193aa/1', what: 'it does not start as it must', point: null },
  ];
  await using server = await openRestServer({ 'set.window': () => windowAnswer({ damaged }) });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('window', 'rs0');
  assert.match(stdout, /^damaged {2}restore point 0193ab is hurt: sets\/x\/points\/0193ab is damaged: its bytes/m);
  assert.match(stdout, /^damaged {2}sets\/x\/proofs\/0193aa\/1: it does not start/m);
});

test('a window shows both clocks, gaps and barriers, and JSON is the answer itself', async () => {
  const answer = windowAnswer({
    gaps: [{ after: { t: 1_795_465_000, i: 2 }, resumesAt: { t: 1_795_466_000, i: 1 }, reason: 'rolled over while nobody read' }],
    barriers: [{ at: { t: 1_795_467_000, i: 1 }, what: 'compatibility version changed' }],
  });
  await using server = await openRestServer({ 'set.window': () => answer });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('window', 'rs0');
  assert.match(stdout, /^from +2026-11-23T21:08:20\+01:00 \(1795464500,1\)$/m);
  assert.match(stdout, /^gap +ends at 2026-11-23T21:16:40\+01:00 \(1795465000,2\) and goes on at 1795466000,1: rolled over while nobody read$/m);
  assert.match(stdout, /^barrier +2026-11-23T21:50:00\+01:00 \(1795467000,1\): compatibility version changed$/m);
  assert.match(stdout, /^0193aa {2}rs0 {2}2026-11-23T21:09:20\+01:00 \(1795464560,96\) {2}incremental, clone {2}3\.5 GB {2}41\.0 MB {2}open$/m);
  assert.deepEqual((await cli.run('window', 'rs0', '--json')).json, answer);
});

test('deleting points prints the plan and asks for nothing to be done; with --apply what could not go decides the exit code', async () => {
  const applied: boolean[] = [];
  const answer = { applied: false, points: [pointAnswer()], momentsLost: [{ after: { t: 1, i: 1 }, through: { t: 2, i: 1 } }], refused: [], deleted: [] };
  await using server = await openRestServer({
    'point.delete': ({ body }) => {
      applied.push(body.apply);
      return answer;
    },
  });
  await using cli = await openCommandLine(server);
  const plan = await cli.run('point', 'delete', '0193aa');
  assert.equal(plan.code, 0);
  assert.match(plan.stdout, /would be deleted\n.*\n0193aa.*\nno longer reachable: after .* \(1,1\) through .* \(2,1\)\nNothing was changed; add --apply to do it\.\n$/);
  const outcomes: [object, number][] = [
    [{ deleted: ['0193aa'] }, 0],
    [{ deleted: ['0193aa'], refused: [{ point: 'b', why: 'it is held: audit' }] }, 3],
    [{ refused: [{ point: 'b', why: 'it is held: audit' }] }, 4],
    [{ refused: [{ point: 'b', why: 'a restore reads it' }] }, 5],
  ];
  for (const [outcome, code] of outcomes) {
    server.answers = { 'point.delete': ({ body }) => (applied.push(body.apply), { ...answer, applied: true, ...outcome }) };
    assert.equal((await cli.run('point', 'delete', '0193aa', 'b', '--apply')).code, code);
  }
  assert.deepEqual(applied, [false, true, true, true, true]);
});

test('found operations are printed as --at takes them', async () => {
  const match = { at: { t: 1_795_464_567, i: 96, term: 3 }, wallMs: 1_795_464_567_000, op: 'command', ns: 'shop.orders', what: 'drop', entry: '{}', reachable: true };
  const early = { ...match, at: { t: 1_795_464_500, i: 1, term: 3 }, reachable: false };
  const searched = { examined: 1200, truncated: false, searchedThrough: { t: 1_795_464_600, i: 1 }, notArchivedYet: { retryAfterSeconds: 10, why: 'the newest operations are not archived yet' } };
  const found = { 'oplog.find': () => sessionAnswer({ kind: 'oplog-find' }), 'session.events': () => eventsOf({ kind: 'state', state: 'success' }) } satisfies Answers;
  await using server = await openRestServer({ ...found, 'session.show': () => sessionAnswer({ kind: 'oplog-find', state: 'success', result: { kind: 'oplog-find', matches: [early, match], ...searched } }) });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('oplog', 'find', 'rs0', '--op', 'command');
  assert.match(stdout, /^1795464567,96 {2}2026-11-23T21:09:27\+01:00 {2}command {2}shop\.orders {2}drop$/m);
  assert.match(stdout, /2 operations found, 1,200 examined/);
  assert.match(stdout, /shop\.orders {2}\(outside the window\) drop$/m);
  assert.match(stdout, /searched through 2026-11-23T21:10:00\+01:00 \(1795464600,1\)\nNOT COMPLETE: .*try again in 10 s\n.*--at before:1795464567,96$/m);
  const { json } = await cli.run('oplog', 'find', 'rs0', '--op', 'command', '--json');
  assert.deepEqual(json.matches.slice(1), [{ ...match, time: '1795464567,96', before: 'before:1795464567,96' }]);
});

test('a published moment is printed once it can be connected to', async () => {
  const publication = { id: 'p1', set: 'rs0', point: '0193aa', at: { t: 1_795_464_567, i: 96 }, state: 'starting', startedAtMs: 0, expiresAtMs: 1_795_500_000_000, endedAtMs: null, uri: null, says: null, session: '0193bb' } as const;
  let looks = 0;
  await using server = await openRestServer({
    'publication.start': ({ body }) => (assert.equal(body.expiresSeconds, 1800), assert.equal(body.withUsers, false), publication),
    'publication.show': () => (++looks < 3 ? publication : { ...publication, state: 'ready', uri: 'mongodb://127.0.0.1:27500/' }),
    'session.events': () => eventsOf({ kind: 'step', step: 'mount' }),
  });
  await using cli = await openCommandLine(server);
  const { code, json } = await cli.run('publish', 'start', 'rs0', '--at', 'latest', '--expires', '30m', '--no-users', '--json');
  assert.equal(code, 0);
  assert.equal(json.uri, 'mongodb://127.0.0.1:27500/');
  assert.equal(json.state, 'ready');
});

test('a damaged repository ends with 1 and names the points that are hurt', async () => {
  const archive = { set: 'rs0', ok: false, points: 2, chunks: 10, packs: 1, readBytes: 0, damage: [{ object: 'packs/ab', what: 'missing' }], hurtPoints: ['0193aa'], hurtOplog: [] };
  await using server = await openRestServer({
    'repository.list': () => ({ repositories: [{ id: 'r1', name: 'local', host: 'local', location: { kind: 'directory', path: '/r' }, isDefault: true, isAttached: false, immutable: null, limits: [], copiesAtOnce: 4, connections: 4, gateways: { through: [], hosts: null }, reread: null, sweeps: null, addedAtMs: 0, passphraseFile: null, archives: [] }] }),
    'repository.check': ({ params, body }) => (assert.deepEqual([params.repository, body.readDataPercent], ['local', 100]), sessionAnswer({ kind: 'check' })),
    'session.events': () => eventsOf({ kind: 'state', state: 'warning' }),
    'session.show': () => sessionAnswer({ kind: 'check', state: 'warning', result: { kind: 'check', ok: false, archives: [archive] } }),
  });
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('repository', 'check', '--read-data');
  assert.equal(code, 1);
  assert.match(stdout, /packs\/ab: missing\n {2}restore point 0193aa cannot be trusted/);
});

test('a password reaches the server from its file and stands in no output', async () => {
  let given: unknown;
  await using server = await openRestServer({
    'set.add': async ({ body }) => {
      given = body.target;
      throw setBusy({ set: 'rs0' });
    },
  });
  await using cli = await openCommandLine(server);
  await writeFile(join(cli.directory, 'password'), 'hush-hush\n');
  const { code, stdout, stderr } = await cli.run('set', 'add', 'mongodb://db1,db2:27018/?replicaSet=rs0', '--user', 'tide', '--password-file', join(cli.directory, 'password'), '--json');
  assert.equal(code, 5);
  assert.deepEqual(given, {
    hosts: [{ host: 'db1', port: 27017 }, { host: 'db2', port: 27018 }],
    replicaSet: 'rs0',
    credential: { kind: 'scram', user: 'tide', password: 'hush-hush', authSource: 'admin' },
  });
  assert.ok(!`${stdout}${stderr}`.includes('hush-hush'));
});

test('what cannot be right is a usage error at once, and says what to write instead', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  for (const [words, says] of [
    [['set', 'add', 'mongodb://tide:secret@db1/?replicaSet=rs0'], /holds a password.*--password-file/],
    [['set', 'add', 'mongodb://db1', '--user', 'tide'], /tide needs --password-file/],
    [['set', 'add', 'mongodb://tide@db1'], /tide needs --password-file/],
    [['set', 'add', 'mongodb://db1', '--password-file', '/x'], /--password-file needs --user/],
    [['oplog', 'find', 'rs0', '--match', '{_id: 17}'], /--match takes an extended JSON object/],
    [['oplog', 'find', 'rs0', '--match', '17'], /--match takes an extended JSON object/],
    [['set', 'list', '--server', 'http://127.0.0.1:1'], /must be https:\/\//],
  ] as const) {
    const { code, stderr } = await cli.run(...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /secret/);
  }
  assert.deepEqual(server.asked, []);
});

test('a list of published moments says when one really ended and why', async () => {
  const common = { set: 'rs0', point: '0193aa', at: { t: 1_795_464_567, i: 96 }, startedAtMs: 0, expiresAtMs: 1_795_500_000_000, session: '0193bb' };
  await using server = await openRestServer({
    'publication.list': () => ({
      publications: [
        { ...common, id: 'p1', state: 'ready', endedAtMs: null, uri: 'mongodb://127.0.0.1:27500/', says: null },
        { ...common, id: 'p2', state: 'ended', endedAtMs: 1_795_464_600_000, uri: null, says: 'stopped' },
      ],
    }),
  });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('publish', 'list');
  assert.match(stdout, /^PUBLICATION .*ENDS +CONNECT +SAYS$/m);
  assert.match(stdout, /^p1 .* 2026-11-24T07:00:00\+01:00 {2}mongodb:\/\/127\.0\.0\.1:27500\/$/m);
  assert.match(stdout, /^p2 .* 2026-11-23T21:10:00\+01:00 {2} +stopped$/m);
});

for (const [uri, ends] of [['mongodb://a:1,b:2/?replicaSet=rs0', /the set takes writes: mongodb:\/\/a:1,b:2\/\?replicaSet=rs0$/m], [null, /start the members with\n {2}mongod --port 1$/m]] as const) {
  test(uri === null ? 'a restored set that was not started ends with how to start it' : 'a restored set that was started ends with how to connect', async () => {
    const restored = { kind: 'restore-set', point: '0193aa', at: { t: 1_795_464_567, i: 96 }, documents: null, seconds: 5, plan: [], applied: true, startCommands: [['mongod', '--port', '1']], keptAside: [], uri } as const;
    await using server = await openRestServer({
      'restore.set': () => sessionAnswer({ kind: 'restore-set' }),
      'session.events': () => eventsOf({ kind: 'state', state: 'success' }),
      'session.show': () => sessionAnswer({ kind: 'restore-set', state: 'success', result: { ...restored, plan: [], startCommands: [['mongod', '--port', '1']], keptAside: [], startOn: [] } }),
    });
    await using cli = await openCommandLine(server);
    assert.match((await cli.run('restore', 'set', 'rs0', '--at', 'latest', '--to-dir', '/data/a:1', '--start', '--apply')).stdout, ends);
  });
}
