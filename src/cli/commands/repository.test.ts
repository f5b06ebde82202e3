import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

test('gateways of a repository are named, with the hosts that go through them', async () => {
  const repository = { id: 'r1', name: 'main', host: 'vault', location: { kind: 'directory', path: '/r' }, isDefault: true, isAttached: false, addedAtMs: 0, passphraseFile: null } as const;
  await using server = await openRestServer({ 'repository.gateway': ({ body }) => ({ ...repository, archives: [], limits: [], gateways: body }) });
  await using cli = await openCommandLine(server);
  for (const [words, says] of [[['gate1', 'gate2'], 'other hosts through gate1 or gate2'], [['gate1', '--for', 'db1', '--for', 'db2'], 'db1, db2 through gate1'], [[], 'reached straight']] as const) {
    assert.match((await cli.run('repository', 'gateway', 'main', ...words)).stdout, new RegExp(`repository main: ${says}`));
  }
});
