import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pointAnswer, sessionAnswer } from '../../../test/kit/answers.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

test('a release says whether the point was held', async () => {
  await using server = await openRestServer({ 'point.release': ({ params }) => ({ ...pointAnswer(), id: params.point, wasHeld: params.point === 'p1' }) });
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('point', 'release', 'p1')).stdout, 'p1 is released\n');
  assert.equal((await cli.run('point', 'release', 'p2')).stdout, 'p2 was not held: nothing changed\n');
});

test('the session of a plan is listed and shown as one', async () => {
  const plan = sessionAnswer({ id: 's1', kind: 'restore-set', state: 'success', isPlan: true });
  await using server = await openRestServer({ 'session.list': () => ({ sessions: [plan, { ...plan, id: 's2', isPlan: false }] }), 'session.show': () => plan, 'session.log': () => ({ events: [] }) });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('session', 'list')).stdout, /s1 +restore-set \(plan\) [^]*s2 +restore-set {2}/);
  assert.match((await cli.run('session', 'show', 's1')).stdout, /work +restore-set \(plan\) /);
});
