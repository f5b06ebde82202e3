/** SIGKILL to each part at each step of a backup: nothing lost, nothing left behind, and the session says what happened. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { writeMarker } from '../../src/mongo/copy/lock-marker.ts';
import { endStates, openKilledPlatform, type KilledPlatform } from '../kit/killed-platform.ts';

let scene: KilledPlatform;

before(async () => {
  scene = await openKilledPlatform();
});
after(async () => await scene?.[Symbol.asyncDispose]());

for (const part of ['mover', 'transport', 'server'] as const) {
  test(`a ${part} killed at any step of a backup: the session ends in a true state and earlier points stay whole`, async () => {
    for (const step of [1, 2, 3, 4]) {
      await scene.client.db('shop').collection('orders').insertOne({ step, part });
      const session = await scene.killAt(await scene.start('backup', 'run', 'rs0'), step, part);
      assert.ok(endStates.has(session.state));
      if (session.state === 'failed') assert.ok(session.failure!.message.length > 10 && session.failure!.hint.length > 10);
      await scene.nothingLeftBehind();
    }
    const again = await scene.end(await scene.start('backup', 'run', 'rs0'));
    assert.equal(again.state, 'success', JSON.stringify(again.failure));
    assert.equal((await scene.platform.tidemark('point', 'verify', scene.firstPoint)).code, 0);
  });
}

test('a lock whose mover, guardian and transport were killed together is given back when a transport is there again', async () => {
  const member = scene.set.members[1]!;
  await using direct = await member.client();
  const admin = direct.db('admin');
  const locked = async (): Promise<boolean> => (await admin.command({ currentOp: 1 }))['fsyncLock'] === true;
  const mongod = Number((await admin.command({ serverStatus: 1 }))['pid']);
  const marker = join(scene.platform.dataDir, 'work/kept/copies/locks/left.json');
  await writeMarker(marker, { member: member.name, mongod, stage: 'held', after: 0, worker: null });
  const written = JSON.parse(readFileSync(marker, 'utf8')) as { guardian: object };
  writeFileSync(marker, JSON.stringify({ ...written, guardian: { pid: 1, startTime: 'of a process that is gone' } }));
  await admin.command({ fsync: 1, lock: true });
  assert.equal(await locked(), true);
  for (const pid of scene.platform.pids('transport')) process.kill(pid, 'SIGKILL');
  await until('the lock to be given back', 90_000, async () => ((await locked()) ? undefined : true), { everyMs: 200 });
  // It goes when the lock is known to be gone, in this order.
  await until('its marker to be gone', 10_000, () => (existsSync(marker) ? undefined : true));
});

test('a proof names what the mount met: packs that are gone condemn the point, a mount process that was killed does not', async () => {
  const proofOf = async (): Promise<{ ok: boolean; says: string }> => (await scene.platform.ok('point', 'show', scene.firstPoint)).proof;
  const verify = async (): Promise<string> => await scene.start('point', 'verify', scene.firstPoint, '--full');
  const id = await verify();
  const [mount] = await until('its mount process', 60_000, () => (scene.platform.pids('mount').length > 0 ? scene.platform.pids('mount') : undefined), { everyMs: 5 });
  process.kill(mount!, 'SIGKILL');
  const killed = await scene.end(id);
  assert.equal(killed.state, 'failed');
  assert.equal(killed.failure!.code, 'mount.process-ended', JSON.stringify(killed.failure));
  assert.equal((await proofOf()).ok, true);
  const packs = readdirSync(join(scene.platform.dataDir, 'repository'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && /\/packs(\/|$)/.test(entry.parentPath)).map((entry) => join(entry.parentPath, entry.name));
  assert.ok(packs.length > 0);
  for (const pack of packs) renameSync(pack, `${pack}.away`);
  const failed = await scene.end(await verify());
  assert.equal(failed.state, 'failed');
  assert.match(failed.failure!.code, /^(agent\.chunks-missing|repository\.)/, JSON.stringify(failed.failure));
  assert.equal((await proofOf()).ok, false);
  for (const pack of packs) renameSync(`${pack}.away`, pack);
  assert.equal((await scene.end(await verify())).state, 'success');
});
