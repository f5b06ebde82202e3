/**
 * Services are killed while a set is backed up from one host to another and its oplog is followed. Each
 * session ends in a true state with its reason within its deadline, or goes on; nothing is left behind; the next backup works.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { whyNoWholeHosts } from '../kit/hosted-platform.ts';
import { openStruckHosts, type StruckHosts } from '../kit/struck-hosts.ts';

const skip = whyNoWholeHosts();
const timeout = 280_000;
const endMs = 120_000;

let struck: StruckHosts;
before(async () => {
  if (skip === undefined) struck = await openStruckHosts();
});
after(async () => await struck?.[Symbol.asyncDispose]());

const killServices = async (host: 'db' | 'vault'): Promise<void> => void (await struck[host].ok('systemctl', ['kill', '-s', 'KILL', 'tidemark-transport']));

for (const [host, when] of [
  ['db', 'while the copy is made'],
  ['db', 'while the restore point is proved'],
  ['vault', 'while the copy arrives'],
  ['vault', 'while the restore point is proved'],
] as const) {
  test(`the services of ${host} are killed ${when}: the session fails with the reason, and all is well again`, { skip, timeout }, async () => {
    const session = await struck.begin();
    const letGo = await reach(session, when);
    await killServices(host);
    letGo();
    const { state, failure } = await struck.ended(session, endMs);
    assert.equal(state, 'failed');
    assert.match(failure!.code, /^(server\.(task-lost|data-session-ended|host-lost)|mover\.|agent\.mover-died)/);
    assert.ok(failure!.message.length > 20 && failure!.hint.length > 10, JSON.stringify(failure));
    await struck.isWell(`the services of ${host} were killed ${when}`, { vaultDied: host === 'vault' });
  });
}

async function reach(session: string, when: string): Promise<() => void> {
  if (when.endsWith('proved')) return await struck.holdProof();
  await struck.at(session, /^(pre-copy|store) /);
  await struck.onItsWay();
  return () => {};
}

test('the server is killed while the copy is made: the session goes on behind it and succeeds', { skip, timeout }, async () => {
  const session = await struck.begin();
  await struck.at(session, /^(pre-copy|store) /);
  await struck.onItsWay();
  await struck.hosted.platform.kill9();
  await struck.hosted.platform.start();
  assert.equal((await struck.ended(session, endMs)).state, 'success');
  await struck.isWell('the server was killed');
});
