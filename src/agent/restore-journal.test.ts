import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../base/log.ts';
import { restoreJournal, takeBackUnfinished } from './restore-journal.ts';
import { planPlaces, type Step } from './take-places.ts';
import { inspectTargets, startBuilding, type Target } from './target-directory.ts';
import { freePort } from '../../test/kit/free-port.ts';

const id = 'ab'.repeat(12);

async function dataDirectory(path: string, version: string): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const name of ['WiredTiger.turtle', 'storage.bson', 'a.wt']) await writeFile(join(path, name), version);
}

/** An old directory, an empty one and a missing one, each with a new one beside it. */
async function openScene(t: TestContext): Promise<{ root: string; keep: string; targets: Target[]; steps: readonly Step[] }> {
  const root = await mkdtemp(join(tmpdir(), 'tm-journal-'));
  t.after(async () => await rm(root, { recursive: true }));
  await dataDirectory(join(root, 'old'), 'old');
  await mkdir(join(root, 'empty'));
  const targets = await inspectTargets(await Promise.all(['old', 'empty', 'missing'].map(async (name) => ({ directory: join(root, name), port: await freePort() }))));
  for (const target of targets) {
    await startBuilding(target);
    await dataDirectory(target.building, 'new');
  }
  return { root, keep: join(root, 'keep'), targets, steps: (await planPlaces(targets, 'S')).steps };
}

async function makeStep(step: Step): Promise<void> {
  if (step.kind === 'move') await rename(step.from, step.to);
}

async function requireAsBefore(root: string): Promise<void> {
  assert.deepEqual((await readdir(root)).sort(), ['empty', 'keep', 'old']);
  assert.equal(await readFile(join(root, 'old/a.wt'), 'utf8'), 'old');
  assert.deepEqual(await readdir(join(root, 'empty')), []);
  assert.deepEqual(await readdir(join(root, 'keep/restores')), []);
}

test('whatever number of renames a kill let through, taking back leaves every target as it was', async (t) => {
  for (let made = 0; ; made++) {
    const { root, keep, targets, steps } = await openScene(t);
    const journal = restoreJournal(keep, id);
    await journal.write({ stage: 'placing', targets, steps: [...steps] });
    for (const step of steps.slice(0, made)) await makeStep(step);
    await journal.takeBack();
    await requireAsBefore(root);
    await journal.takeBack();
    await requireAsBefore(root);
    if (made === steps.length) break;
  }
});

test('where somebody removed what was built, taking back says so and moves nothing that is in place', async (t) => {
  const { root, keep, targets, steps } = await openScene(t);
  const journal = restoreJournal(keep, id);
  await journal.write({ stage: 'placing', targets, steps: [...steps] });
  for (const { building } of targets) await rm(building, { recursive: true });
  await assert.rejects(journal.takeBack(), { code: 'agent.places-not-taken', message: /another one stands there now/ });
  assert.equal(await readFile(join(root, 'old/a.wt'), 'utf8'), 'old');
  await journal.write({ stage: 'laying', targets });
  await journal.takeBack();
  await requireAsBefore(root);
});

test('at its start the transport takes back what was being laid down, and leaves what is whole for the session', async (t) => {
  const { root, keep, targets } = await openScene(t);
  const journal = restoreJournal(keep, id);
  await journal.write({ stage: 'laid', targets });
  await takeBackUnfinished(keep, silentLog);
  assert.equal((await journal.read())?.stage, 'laid');
  assert.equal((await readdir(root)).filter((name) => name.endsWith('.tidemark-building')).length, 3);
  await journal.write({ stage: 'laying', targets });
  await takeBackUnfinished(keep, silentLog);
  await requireAsBefore(root);
});
