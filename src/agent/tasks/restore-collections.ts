import type { MongoClient } from 'mongodb';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { showTime } from '../../base/cluster-time.ts';
import { openClient, withFailures } from '../../mongo/connect.ts';
import { copyCollection, leftBehind, planCopy, splitNamespace, type CopyPlan } from '../../mongo/collection-copy.ts';
import { requireRestoreRights } from '../../mongo/refusals.ts';
import { openMoment, sayMoment } from '../moment.ts';
import { reachMoment } from '../reach.ts';
import type { TaskContext } from '../task-context.ts';

/** An index build on the target answers when it is done; the server stops a task that is silent for longer. */
const longestCommandMs = 12 * 3_600_000;

/** Collections as they were at a moment, into a live set. Everything is planned before the first write. */
export async function restoreCollections(input: TaskInput<'restore-collections'>, context: TaskContext): Promise<TaskOutput<'restore-collections'>> {
  const startedMs = context.clock.monotonicMs();
  context.step('choose the moment');
  const moment = await openMoment(input.archive, input.point, input.at);
  context.say(sayMoment(moment));
  await using target = await openClient(input.into, { silenceMs: longestCommandMs });
  await requireRestoreRights(target, input.namespaces.map(({ to }) => to));
  await using reached = await reachMoment(moment, context, { kind: 'inspect' });
  await using source = await reached.mongod.client();
  context.step('look at both sides');
  const at = showTime(moment.at);
  const plans: CopyPlan[] = [];
  for (const { from, to } of input.namespaces) plans.push(await withFailures(target, `the look at ${to}`, async () => await planCopy(source, target, from, to, input.existing, at)));
  const plan = plans.map(({ says }) => says);
  for (const line of plan) context.say(line);
  const done = (documents: number | null): TaskOutput<'restore-collections'> => ({
    at: moment.at,
    documents,
    seconds: (context.clock.monotonicMs() - startedMs) / 1000,
    plan,
    applied: input.apply,
  });
  if (!input.apply) return done(null);
  const expected = plans.reduce((sum, { shape }) => sum + shape.bytes, 0);
  const counts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  const onBytes = (bytes: number): void => {
    for (const key of ['processed', 'read', 'transferred', 'stored'] as const) counts[key] += bytes;
    context.progress(counts, expected);
  };
  const asideSuffix = `aside-${new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\..*/g, '')}`;
  await clearLeftBehind(target, input, context);
  let documents = 0;
  for (const copy of plans) {
    context.step(`copy ${copy.from} into ${copy.to}`);
    const run = { onBytes, signal: context.signal, asideSuffix, nowMs: context.clock.now() };
    const result = await withFailures(target, `the copy into ${copy.to}`, async () => await copyCollection(source, target, copy, run));
    documents += result.documents;
    context.say(`${copy.to}: ${result.documents} documents${result.aside === null ? '' : `; the old collection is now ${result.aside}`}`);
  }
  return done(documents);
}

/** What a killed restore left half built: dropped when it is too old to be anybody's, named otherwise. */
async function clearLeftBehind(target: MongoClient, input: TaskInput<'restore-collections'>, context: TaskContext): Promise<void> {
  for (const db of new Set(input.namespaces.map(({ to }) => splitNamespace(to).db))) {
    for (const { name, dead } of await leftBehind(target, db, context.clock.now())) {
      if (dead) await target.db(db).dropCollection(name);
      context.say(dead ? `dropped ${db}.${name}, left half built by a killed restore` : `${db}.${name} is another restore at work, or was left by a killed one`, 'warning');
    }
  }
}
