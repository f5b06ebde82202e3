import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf, sessionAnswer } from '../../../test/kit/answers.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

test('gateways of a repository are named, with the hosts that go through them', async () => {
  const repository = { id: 'r1', name: 'main', host: 'vault', location: { kind: 'directory', path: '/r' }, isDefault: true, addedAtMs: 0, passphraseFile: null } as const;
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
