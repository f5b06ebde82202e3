/** SIGKILL to each part while a collection or a set is restored: all or nothing, nothing left behind, and the session says what happened. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../kit/free-port.ts';
import { openKilledPlatform, type KilledPlatform } from '../kit/killed-platform.ts';

let scene: KilledPlatform;

before(async () => {
  scene = await openKilledPlatform();
});
after(async () => await scene?.[Symbol.asyncDispose]());

for (const part of ['mover', 'transport', 'server'] as const) {
  test(`a ${part} killed while a collection is restored: the live one is there as it was, or whole as it is to be`, async () => {
    const collection = scene.client.db('shop').collection('live');
    await collection.deleteMany({});
    await collection.insertOne({ version: 'live' });
    for (const step of part === 'mover' ? [2, 5] : [4]) {
      const id = await scene.start('restore', 'collections', 'rs0', '--at', scene.firstPoint, '--ns', 'shop.orders=shop.live', '--existing', 'replace', '--apply');
      const session = await scene.killAt(id, step, part);
      const count = await collection.countDocuments();
      const isOld = (await collection.findOne())?.['version'] === 'live';
      assert.ok(isOld || count === 20_000, `all or nothing: ${count}`);
      if (session.state === 'success') assert.equal(count, 20_000);
      await scene.nothingLeftBehind();
    }
  });

  test(`a ${part} killed while a set is restored: its directory is not half there, and the next restore takes it`, async () => {
    const place = mkdtempSync(join(tmpdir(), 'tm-killed-restore-'));
    try {
      for (const step of part === 'mover' ? [2, 3] : [3]) {
        const target = join(place, `at-${step}`);
        const restore = ['restore', 'set', 'rs0', '--at', scene.firstPoint, '--name', 'back', '--to-dir', `${target}:${await freePort()}`, '--apply'];
        const session = await scene.killAt(await scene.start(...restore), step, part);
        assert.equal(existsSync(join(target, 'WiredTiger')), session.state === 'success', `${session.state}: ${session.failure?.message ?? ''}`);
        await scene.nothingLeftBehind();
        if (session.state === 'success') continue;
        assert.equal((await scene.end(await scene.start(...restore))).state, 'success');
        assert.ok(existsSync(join(target, 'WiredTiger')));
      }
    } finally {
      rmSync(place, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}
