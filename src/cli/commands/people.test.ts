import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCommandLine, type CommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const laterMs = 4_000_000_000_000;
const user = { id: 'u1', name: 'anna', source: 'local' as const, roles: ['viewer'], isDisabled: false, mustChangePassword: false, hasSecondFactor: true, lockedUntilMs: null, lastSignInAtMs: null, checkedAtMs: null, says: null, addedAtMs: 0 };
const token = { id: 't1', kind: 'api', user: 'anna', name: 'nightly', role: 'viewer', createdAtMs: 0, expiresAtMs: laterMs, usedAtMs: null, from: '10.0.0.1' } as const;

async function fileIn(cli: CommandLine, name: string, text: string): Promise<string> {
  await writeFile(join(cli.directory, name), text);
  return join(cli.directory, name);
}

test('a sign-in is kept for its owner alone, used by the commands that follow, and forgotten by logout', async () => {
  const given: unknown[] = [];
  await using server = await openRestServer({
    'sign-in.start': ({ body }) => (given.push(body), { token: 'a-token-for-tests', user: 'anna', roles: ['viewer'], expiresAtMs: laterMs }),
    'self.show': () => ({ who: 'anna', kind: 'sign-in', roles: ['viewer'], permissions: ['sets.read'], expiresAtMs: laterMs }),
    'sign-in.end': () => ({ ended: true }),
  });
  await using cli = await openCommandLine(server, { settings: {} });
  const connection = ['--server', server.url, '--ca-file', join(cli.directory, 'ca.pem')];
  const password = await fileIn(cli, 'pw', 'hush words\n');
  const signedIn = await cli.run('login', 'anna', '--password-file', password, '--code', '123456', ...connection);
  assert.match(signedIn.stdout, /signed in as anna \(viewer\) until /, signedIn.stderr);
  assert.deepEqual(given, [{ user: 'anna', password: 'hush words', code: '123456' }]);
  assert.doesNotMatch(`${signedIn.stdout}${signedIn.stderr}`, /hush|a-token/);
  assert.equal((await stat(cli.surroundings.signInFile)).mode & 0o777, 0o600);
  assert.match((await cli.run('whoami')).stdout, /^who +anna\nserver +https:\/\/127\.0\.0\.1:\d+\nroles +viewer/);
  assert.equal((await cli.run('whoami', '--server', 'https://127.0.0.1:1')).code, 1, 'it is not shown to another server');
  assert.equal((await cli.run('logout')).code, 0);
  assert.match((await cli.run('whoami')).stderr, /cli\.token-missing/);
});

test('what is missing is asked for on a terminal, and the token goes where --out says', async () => {
  const given: { code?: string }[] = [];
  await using server = await openRestServer({
    'sign-in.start': ({ body }) => {
      given.push(body);
      if (body.code === undefined) throw Object.assign(new Error('x'), { name: 'Failure', code: 'server.sign-in-code-needed', hint: 'h', retry: 'never', details: {} });
      return { token: 'a-token-for-tests', user: 'anna', roles: ['viewer'], expiresAtMs: laterMs };
    },
  });
  const questions: string[] = [];
  await using cli = await openCommandLine(server, { settings: {}, askSecret: async (question) => (questions.push(question), await Promise.resolve(question === 'code: ' ? '654321' : 'hush words')) });
  const out = join(cli.directory, 'token-out');
  const { code, stderr } = await cli.run('login', 'anna', '--out', out, '--server', server.url, '--ca-file', join(cli.directory, 'ca.pem'));
  assert.equal(code, 0, stderr);
  assert.deepEqual(questions, ['password: ', 'code: ']);
  assert.deepEqual(given.map((asked) => asked.code), [undefined, '654321']);
  assert.equal(await readFile(out, 'utf8'), 'a-token-for-tests\n');
});

test('without a terminal and a file there is no password, and without an authority no server', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server, { settings: {} });
  assert.match((await cli.run('login', 'anna', '--server', server.url)).stderr, /name the certificate authority/);
  const { code, stderr } = await cli.run('login', 'anna', '--server', server.url, '--ca-file', join(cli.directory, 'ca.pem'));
  assert.equal(code, 2);
  assert.match(stderr, /give the password with --password-file/);
});

test('users, roles, tokens and the audit are shown', async () => {
  await using server = await openRestServer({
    'user.list': () => ({ users: [user, { ...user, name: 'carla@comp.test', source: 'directory', roles: [], hasSecondFactor: false, says: 'it is disabled in the directory' }] }),
    'user.show': () => user,
    'user.tokens': () => ({ tokens: [token] }),
    'role.list': () => ({ roles: [{ name: 'shop', isBuiltIn: false, says: null, permissions: ['sets.read', 'restores.run'], objects: ['group:shop'], targets: ['publish'], users: 2 }] }),
    'token.list': () => ({ tokens: [token] }),
    'audit.list': () => ({ rows: [{ number: 7, atMs: 0, who: 'an\u001b[2Jna', from: '10.0.0.1', what: 'restore.set', on: 'rs0', outcome: 'done', reason: 'drill', hash: 'ab' }] }),
    'audit.verify': () => ({ isWhole: false, rows: 7, head: 'ab', faults: [{ number: 3, what: 'it was changed' }] }),
  });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('user', 'list')).stdout, /^anna +local +viewer +never +second factor\ncarla@comp\.test +directory +none +never +it is disabled in the directory$/m);
  assert.match((await cli.run('user', 'show', 'anna')).stdout, /^state +second factor$[\s\S]*^nightly +API +viewer +10\.0\.0\.1/m);
  assert.match((await cli.run('role', 'list')).stdout, /^shop +2 {2}group:shop, restore to publish {2}sets\.read, restores\.run$/m);
  assert.match((await cli.run('token', 'list')).stdout, /^nightly +API/m);
  assert.match((await cli.run('audit', 'list')).stdout, /^ {2}7 .* an\?\[2Jna {2}10\.0\.0\.1 {2}restore\.set {2}done +rs0: drill$/m);
  const verdict = await cli.run('audit', 'verify');
  assert.equal(verdict.code, 1);
  assert.match(verdict.stdout, /NOT WHOLE\nrow 3: it was changed/);
});

test('words become users, roles and tokens', async () => {
  const given: unknown[] = [];
  await using server = await openRestServer({
    'user.add': ({ body }) => (given.push(body), user),
    'role.add': ({ body }) => (given.push(body), { ...body, isBuiltIn: false, says: null, users: 0 }),
    'token.add': ({ body }) => (given.push(body), { secret: 'tmu_hush', token }),
    'self.password': ({ body }) => (given.push(body), { changed: true }),
  });
  await using cli = await openCommandLine(server);
  const [one, two] = [await fileIn(cli, 'one', 'old words\n'), await fileIn(cli, 'two', 'new words\n')];
  const out = join(cli.directory, 'out');
  const runs = [
    await cli.run('user', 'add', 'anna', '--role', 'viewer', '--role', 'shop', '--new-password-file', two),
    await cli.run('role', 'add', 'shop', '--allow', 'sets.read', '--allow', 'restores.run', '--only', 'group:shop', '--restore-to', 'publish'),
    await cli.run('token', 'add', 'nightly', '--expires', '30d', '--role', 'viewer', '--out', out),
    await cli.run('user', 'password', '--password-file', one, '--new-password-file', two),
  ];
  assert.deepEqual(runs.map(({ code }) => code), [0, 0, 0, 0], runs.map(({ stderr }) => stderr).join(''));
  assert.deepEqual(given, [
    { name: 'anna', roles: ['viewer', 'shop'], password: 'new words' },
    { name: 'shop', permissions: ['sets.read', 'restores.run'], objects: ['group:shop'], targets: ['publish'] },
    { name: 'nightly', role: 'viewer', expiresSeconds: 30 * 86_400 },
    { password: 'old words', newPassword: 'new words' },
  ]);
  assert.equal((await stat(out)).mode & 0o777, 0o600);
  for (const { stdout, stderr } of runs) assert.doesNotMatch(`${stdout}${stderr}`, /words|hush/);
  for (const [words, says] of [[['--allow', 'everything'], /no permission "everything"/], [['--allow', 'sets.read', '--only', 'shop'], /--only takes set:NAME/], [['--allow', 'sets.read', '--restore-to', 'moon'], /live, directories or publish/]] as const) {
    const { code, stderr } = await cli.run('role', 'add', 'x', ...words);
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
});
