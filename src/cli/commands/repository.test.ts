import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventsOf, sessionAnswer } from '../../../test/kit/answers.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import type { RouteAsked } from '../../contract/routes.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

test('gateways of a repository are named, with the hosts that go through them', async () => {
  const repository = { id: 'r1', name: 'main', host: 'vault', location: { kind: 'directory', path: '/r' }, isDefault: true, isAttached: false, immutable: null, reread: null, sweeps: null, addedAtMs: 0, passphraseFile: null, copiesAtOnce: 4, connections: 4 } as const;
  await using server = await openRestServer({ 'repository.gateway': ({ body }) => ({ ...repository, archives: [], limits: [], gateways: body }) });
  await using cli = await openCommandLine(server);
  for (const [words, says] of [[['gate1', 'gate2'], 'other hosts through gate1 or gate2'], [['gate1', '--for', 'db1', '--for', 'db2'], 'db1, db2 through gate1'], [[], 'reached straight']] as const) {
    assert.match((await cli.run('repository', 'gateway', 'main', ...words)).stdout, new RegExp(`repository main: ${says}`));
  }
});

test('a place that does not keep what a repository needs ends with 1 and says what', async () => {
  const result = { kind: 'test', host: 'db1', ok: false, findings: [{ what: 'lifecycle rules', level: 'bad', says: 'rule tidy deletes objects after 30 days' }], speeds: [{ what: 'one object of 64 MiB', bytes: 64e6, writeSeconds: 2, readSeconds: 1 }], freeBytes: null, clockApartMs: 0 } as const;
  await using server = await openRestServer({
    'repository.test': ({ params, body }) => (assert.deepEqual([params.repository, body.host, body.megabytes], ['main', 'db1', 64]), sessionAnswer({ kind: 'test' })),
    'session.events': () => eventsOf({ kind: 'state', state: 'warning' }),
    'session.show': () => sessionAnswer({ kind: 'test', state: 'warning', result: { ...result, findings: [...result.findings], speeds: [...result.speeds] } }),
  });
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('repository', 'test', 'main', '--node', 'db1');
  assert.equal(code, 1);
  assert.match(stdout, /^BAD {8}lifecycle rules: rule tidy deletes objects after 30 days\none object of 64 MiB: written at 32\.0 MB\/s, read at 64\.0 MB\/s\nfree space: the place does not say/);
});

test('a bucket is named by its address, its key comes from a file, and one host opens it for all where a gateway is named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tm-cli-'));
  const [secret, passphrase] = ['secret', 'passphrase'].map((name) => join(directory, name)) as [string, string];
  writeFileSync(secret, 'the secret\n');
  writeFileSync(passphrase, 'a passphrase\n');
  const asked: RouteAsked<'repository.add'>['body'][] = [];
  await using server = await openRestServer({
    'repository.add': ({ body }) => {
      asked.push(body);
      return { id: 'r1', name: body.name, host: body.host, location: body.location, isDefault: false, isAttached: false, immutable: null, limits: [], copiesAtOnce: 4, connections: 4, gateways: { through: [], hosts: null }, reread: null, sweeps: null, addedAtMs: 0, passphraseFile: null, archives: [] };
    },
  });
  await using cli = await openCommandLine(server);
  try {
    const add = async (...words: string[]) => await cli.run('repository', 'add', 'bucket', ...words, '--passphrase-file', passphrase);
    const key = ['--access-key', 'AK', '--secret-key-file', secret];
    assert.match((await add('s3:https://store.example:7480/backup/mongo/', ...key)).stdout, /repository bucket in s3:https:\/\/store\.example:7480\/backup\/mongo, 0 archives/);
    const straight = { kind: 's3', endpoint: 'https://store.example:7480', bucket: 'backup', prefix: 'mongo', region: 'us-east-1', style: 'path', accessKeyId: 'AK', caPem: null, sse: null, straight: true };
    assert.deepEqual([asked[0]!.location, asked[0]!.secret, asked[0]!.host], [straight, 'the secret', 'local']);
    await add('s3:http://store.example/backup', ...key, '--gateway', 'gate1', '--virtual-host', '--region', 'eu');
    assert.deepEqual([asked[1]!.location, asked[1]!.host], [{ ...straight, endpoint: 'http://store.example', prefix: '', region: 'eu', style: 'virtual-host', straight: false }, 'gate1']);
    for (const [words, says] of [[['s3:https://store.example', ...key], /the bucket/], [['s3:https://AK:secret@store.example/b', ...key], /--secret-key-file/], [['s3:https://store.example/backup', '--access-key', 'AK'], /needs --secret-key-file/], [['s3:store/backup', ...key], /store\/backup is not of the form/]] as const) {
      const { code, stderr } = await add(...words);
      assert.deepEqual([code, says.test(stderr)], [2, true], stderr);
    }
    assert.equal(asked.length, 2);
    await add('s3:http://store.example/backup', ...key, '--sse', '--immutable-days', '30');
    assert.deepEqual([asked[2]!.immutable, asked[2]!.location.kind === 's3' && asked[2]!.location.sse], [{ days: 30, mode: 'compliance' }, 'AES256']);
    await add('s3:http://store.example/backup', ...key, '--immutable-days', '7', '--lock-mode', 'governance');
    await add('/srv/vault', '--node', 'vault', '--immutable-days', '7');
    assert.deepEqual(asked.slice(3).map(({ immutable }) => immutable), [{ days: 7, mode: 'governance' }, { days: 7, mode: null }]);
    const share = ['smb://files/backup', '--share-user', 'u', '--share-password-file', secret];
    for (const [words, says] of [[[...share, '--immutable-days', '7'], /a share cannot be immutable/], [['/srv/vault', '--lock-mode', 'governance'], /goes with --immutable-days/], [['/srv/vault', '--immutable-days', '7', '--lock-mode', 'compliance'], /is for a bucket/], [['/srv/vault', '--immutable-days', '0'], /immutable-days|0/]] as const) {
      const { code, stderr } = await add(...words);
      assert.deepEqual([code, says.test(stderr)], [2, true], stderr);
    }
    assert.equal(asked.length, 5);
    await add('s3:http://store.example/backup', ...key, '--sse-kms-key', 'backup-key');
    assert.deepEqual(asked[5]!.location.kind === 's3' && asked[5]!.location.sse, { kms: 'backup-key' });
    assert.match((await add('s3:http://store.example/backup', ...key, '--sse', '--sse-kms-key', 'backup-key')).stderr, /give one of them/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
