import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const answer = { id: 'c1', name: 'dba', kind: 'host', user: 'anna', signIn: 'key', port: 22, elevation: 'sudo', addedAtMs: 1_795_464_567_000 } as const;

test('secrets of a credential come from files and stand in no output', async () => {
  const given: unknown[] = [];
  await using server = await openRestServer({ 'credential.add': ({ body }) => (given.push(body.record), answer) });
  await using cli = await openCommandLine(server);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(cli.directory, name), text);
    return join(cli.directory, name);
  };
  const [password, key, phrase, root] = [await file('pw', 'hush-one\n'), await file('key', 'hush-key\n'), await file('phrase', 'hush-two\n'), await file('root', 'hush-three\n')];
  const added = [
    await cli.run('credential', 'add', 'dba', '--user', 'anna', '--key-file', key, '--passphrase-file', phrase, '--sudo', '--root-password-file', root),
    await cli.run('credential', 'add', 'dba', '--user', 'anna', '--password-file', password, '--port', '2222', '--root-password-file', root),
    await cli.run('credential', 'add', 'dba', '--for', 'database', '--user', 'tide', '--password-file', password),
  ];
  assert.deepEqual(added.map(({ code }) => code), [0, 0, 0]);
  assert.deepEqual(given, [
    { kind: 'host', host: { user: 'anna', port: 22, signIn: { kind: 'key', privateKey: 'hush-key\n', passphrase: 'hush-two' }, elevation: { kind: 'sudo', rootPassword: 'hush-three' } } },
    { kind: 'host', host: { user: 'anna', port: 2222, signIn: { kind: 'password', password: 'hush-one' }, elevation: { kind: 'su', rootPassword: 'hush-three' } } },
    { kind: 'database', credential: { kind: 'scram', user: 'tide', password: 'hush-one', authSource: 'admin' } },
  ]);
  assert.match(added[0]!.stdout, /credential dba is kept: anna with a key, root by sudo/);
  for (const { stdout, stderr } of added) assert.doesNotMatch(`${stdout}${stderr}`, /hush/);
});

test('a credential that says too little is refused with what is missing', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  for (const [words, says] of [
    [['--password-file', '/x'], /name the user with --user/],
    [['--user', 'anna'], /give --password-file or --key-file/],
    [['--for', 'database', '--user', 'anna'], /give --user with --password-file, or --x509/],
  ] as const) {
    const { code, stderr } = await cli.run('credential', 'add', 'dba', ...words);
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
});

test('credentials are listed, and removing one prints the plan unless told to act', async () => {
  const applied: boolean[] = [];
  await using server = await openRestServer({
    'credential.list': () => ({ credentials: [answer] }),
    'credential.remove': ({ query }) => (applied.push(query.apply), { applied: query.apply, credential: 'dba', plan: ['forget it'] }),
  });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('credential', 'list')).stdout, /^dba {9}host {2}anna with a key, root by sudo {2}2026-/m);
  assert.match((await cli.run('credential', 'remove', 'dba')).stdout, /forget it\nNothing was changed; add --apply to do it\./);
  assert.match((await cli.run('credential', 'remove', 'dba', '--apply')).stdout, /credential dba is forgotten/);
  assert.deepEqual(applied, [false, true]);
});
