/** The rates of a task are its mount's, too: asked for over the pipe between the two. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import { scratch } from '../../test/kit/scratch.ts';
import { startMountChild } from './mount-child.ts';
import { openMountProcess, type FromMountProcess, type MountJob } from './mount-process.ts';

const job = { source: {}, mountDirectory: '/nowhere', overlayDirectory: '/nowhere', throwAway: true } as unknown as MountJob;

/** Is ready once it was told to wait for 7 ms. */
const program = `
process.on('message', (message) => {
  if (message.kind === 'serve') process.send({ kind: 'pace', ask: 4, of: 'repository r', bytes: 5, bytesPerMs: 2 });
  else if (message.kind === 'paced' && message.ask === 4 && message.waitMs === 7) process.send({ kind: 'ready' });
  else process.exit(1);
});
`;

test('the parent of a mount answers it by the rates of its task', async (t) => {
  const directory = await mkdtemp(join(scratch, 'tm-pace-'));
  t.after(async () => await rm(directory, { recursive: true }));
  const path = join(directory, 'mount.cjs');
  writeFileSync(path, program);
  const asked: unknown[] = [];
  const child = await startMountChild([process.execPath, path], silentLog, async (...question) => await Promise.resolve(asked.push(question) + 6)).serve({ job, readyMs: 20_000 });
  await child.close(5_000);
  assert.deepEqual(asked, [['repository r', 5, 2]]);
});

test('a mount process asks its parent for room, and waits as it is told', async () => {
  const sent: FromMountProcess[] = [];
  const told = Promise.withResolvers<number>();
  const mount = openMountProcess({
    openSource: async (_access, pace) => {
      told.resolve(await pace!('host', 5, 2));
      throw new Error('there is no source');
    },
    send: async (message) => {
      sent.push(message);
      if (message.kind === 'pace') mount.receive({ kind: 'paced', ask: message.ask, waitMs: 12 });
      await Promise.resolve();
    },
    log: silentLog,
  });
  mount.receive({ kind: 'serve', job });
  assert.equal(await told.promise, 12);
  await mount.ended;
  assert.deepEqual(sent.map(({ kind }) => kind), ['pace', 'failed']);
});
