import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteAnswer } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { sessionAnswer } from '../../../test/kit/answers.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { failWith } from '../../../test/kit/fake-transport.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const host = (name: string): RouteAnswer<'host.list'>['hosts'][number] => ({
  id: name, name, address: name, controlPort: 6162, deployerPort: 6160, dataFrom: 2500, dataTo: 3300, singlePort: false, limits: [], copiesAtOnce: 1, dials: 'server', platform: 'linux', state: 'enrolled', link: 'connected', says: null, version: '1.0.0', outOfDate: true,
  deployer: { link: 'connected', says: null, version: '1.0.0' }, addedAtMs: 0, enrolledAtMs: 0,
});
const failure = { code: 'agent.service-not-healthy', message: 'tidemark-transport 1.1.0 did not become healthy; 1.0.0 runs again', hint: 'a hint', retry: 'never' as const, details: {} };
const ends: Record<string, Partial<Session>> = {
  db1: { state: 'success', result: { kind: 'update', host: 'db1', services: [{ name: 'tidemark-transport', before: '1.0.0', version: '1.1.0' }] } },
  db2: { state: 'failed', failure },
};
const sessionOf = (name: string, more: Partial<Session> = {}): Session => sessionAnswer({ id: `s-${name}`, kind: 'update', object: { kind: 'host', id: name, name }, ...more });

async function openServer(names: readonly string[]) {
  return await openRestServer({
    'host.list': ({ query }) => ({ hosts: query.filter === 'out-of-date' ? names.map(host) : [], found: [], alarms: [] }),
    'host.update': ({ params }) => {
      if (params.host === 'db3') throw failWith('server.host-busy', 'session 7 changes its services');
      return sessionOf(params.host);
    },
    'session.events': async function* () {
      yield { number: 1, atMs: 0, event: { kind: 'state', state: 'success' } };
    },
    'session.show': ({ params }) => ({ ...sessionOf(params.session.slice(2), { ...ends[params.session.slice(2)], endedAtMs: 1 }), log: [] }),
  });
}

test('every host that is out of date is updated, and each has its own result, whatever became of the others', async () => {
  await using server = await openServer(['db3', 'db2', 'db1']);
  await using cli = await openCommandLine(server);
  const { code, stdout, stderr } = await cli.run('node', 'update', '--all');
  assert.equal(code, 3, stderr);
  assert.match(stdout, /^db1: tidemark-transport 1\.0\.0 is now 1\.1\.0$/m);
  assert.match(stdout, /^db2: failed, session s-db2$/m);
  assert.match(stdout, /^db3: refused$/m);
  assert.match(stderr, /db2: .*1\.0\.0 runs again/);
  assert.match(stderr, /db3: .*session 7 changes its services/);
  const { json } = await cli.run('node', 'update', '--all', '--json');
  const { sessions, refused } = json as { sessions: { host: string; state: string }[]; refused: { node: string; failure: { code: string } }[] };
  assert.deepEqual(sessions.map(({ host: name, state }) => [name, state]), [['db2', 'failed'], ['db1', 'success']]);
  assert.deepEqual(refused.map(({ node, failure: why }) => [node, why.code]), [['db3', 'server.host-busy']]);
});

test('when none was updated the command has failed, and when none is out of date there is nothing to do', async () => {
  await using server = await openServer(['db2', 'db3']);
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('node', 'update', '--all')).code, 1);
  await using none = await openServer([]);
  await using other = await openCommandLine(none);
  const { code, stdout } = await other.run('node', 'update', '--all');
  assert.deepEqual([code, stdout.trim()], [0, 'every host is up to date']);
  for (const words of [[], ['db1', '--all']]) assert.equal((await other.run('node', 'update', ...words)).code, 2);
});
