import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failWith } from '../../test/kit/fake-transport.ts';
import { countsAgainst } from './proving.ts';

const condemns = (code: string, elsewhere = false): boolean => countsAgainst(failWith(code, 'x'), { elsewhere });

test('what mongod finds in a point, and what is missing of it, condemns the point', () => {
  for (const code of ['agent.proof-failed', 'agent.chunks-missing', 'repository.frame-damaged', 'repository.object-damaged', 'mongo.mongod-died', 'mount.unreadable', 'mongo.replay-copy-incomplete']) assert.ok(condemns(code), code);
});

test('damage of the archived oplog, a full disk and a host that lacks something do not condemn a point', () => {
  const codes = ['repository.oplog-damaged', 'repository.oplog-gap', 'repository.chain-missing', 'mongo.oplog-damaged', 'mongo.replay-archive-broken', 'mongo.replay-barrier', 'mongo.file-system-full', 'mongo.binary-missing', 'mount.refused', 'mount.process-ended', 'mount.unwritable', 'base.stopped', 'agent.mover-died', 'mover.no-answer', 'mover.host-not-reached', 'repository.list-behind', 'repository.bucket-not-reached'];
  for (const code of codes) assert.equal(condemns(code), false, code);
});

test('a failure at another moment than the point stands for does not condemn it', () => {
  assert.equal(condemns('agent.proof-failed', true), false);
});
