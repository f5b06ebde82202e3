import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servingOf } from './reach.ts';

test('the mongod of a proof runs no script, not even that of a view; one that serves data does', async () => {
  assert.deepEqual(await servingOf({ kind: 'prove' }, '/nowhere'), { args: ['--noscripting'] });
  assert.equal(await servingOf({ kind: 'inspect' }, '/nowhere'), undefined);
  assert.deepEqual(await servingOf({ kind: 'serve', port: 27_000, withUsers: false }, '/nowhere'), { port: 27_000 });
});
