import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const key = (letter: string) => ({ type: 'ssh-ed25519', fingerprint: `SHA256:${letter.repeat(43)}` });
const trusted = { host: 'db1', port: 22, state: 'trusted', trusted: { ...key('a'), by: 'first use', atMs: 0 }, waiting: null } as const;
const changed = { host: 'db2', port: 22, state: 'changed', trusted: { ...key('b'), by: 'first use', atMs: 0 }, waiting: { ...key('c'), atMs: 1_795_464_567_000 } } as const;

test('a key that waits is shown to be compared, and trusted only when told to', async () => {
  const admitted: unknown[] = [];
  await using server = await openRestServer({
    'host-key.list': () => ({ mode: 'manual', hostKeys: [trusted, changed] }),
    'host-key.admit': ({ body }) => (admitted.push(body), { ...changed, state: 'trusted', trusted: { ...key('c'), by: 'admin', atMs: 0 }, waiting: null }),
  });
  await using cli = await openCommandLine(server);
  const list = await cli.run('node', 'trust');
  assert.match(list.stdout, /^db2:22 {2}changed {2}SHA256:c{43} {2}SHA256:b{43} {2}2026-/m);
  assert.doesNotMatch(list.stdout, /db1/);
  const plan = await cli.run('node', 'trust', 'db2');
  assert.match(plan.stdout, /trust the ssh-ed25519 key SHA256:c{43} of db2 on port 22\ntrust its old key SHA256:b{43} no more\ncompare it first.*ssh-keygen -lf.*\nNothing was changed/);
  assert.deepEqual(admitted, []);
  const other = await cli.run('node', 'trust', 'db2', '--fingerprint', key('d').fingerprint);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /db2 shows the key SHA256:c{43}, not SHA256:d{43}/);
  assert.equal((await cli.run('node', 'trust', 'db3', '--apply')).code, 2, 'a host nobody has seen');
  assert.match((await cli.run('node', 'trust', 'db2', '--apply')).stdout, /db2 is trusted with the ssh-ed25519 key SHA256:c{43}/);
  assert.deepEqual(admitted, [{ host: 'db2', port: 22, fingerprint: key('c').fingerprint }]);
});

test('the mode is set for all hosts', async () => {
  const modes: string[] = [];
  await using server = await openRestServer({ 'host-key.mode': ({ body }) => (modes.push(body.mode), { mode: body.mode }) });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('node', 'trust', '--mode', 'manual')).stdout, /wait until they are admitted/);
  assert.equal((await cli.run('node', 'trust', 'db1', '--mode', 'manual')).code, 2);
  assert.deepEqual(modes, ['manual']);
});
