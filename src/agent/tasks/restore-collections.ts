import { MongoError, type MongoClient } from 'mongodb';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { stampFor } from '../../base/clock.ts';
import { sayTime } from '../../base/cluster-time.ts';
import { openClient, withFailures } from '../../mongo/connect.ts';
import { copyCollection, leftBehind, planCopy, splitNamespace, type CopyPlan } from '../../mongo/collection-copy.ts';
import { requireRestoreRights } from '../../mongo/refusals.ts';
import { apart, atMoment, type Reached } from '../reach.ts';
import type { TaskContext } from '../task-context.ts';

/** An index build on the target answers when it is done; the server stops a task that is silent for longer. */
const longestCommandMs = 12 * 3_600_000;

/** Collections as they were at a moment, into a live set. Everything is planned before the first write. */
export async function restoreCollections(input: TaskInput<'restore-collections'>, context: TaskContext): Promise<TaskOutput<'restore-collections'>> {
  const startedMs = context.clock.monotonicMs();
  await using target = await openClient(input.into, { silenceMs: longestCommandMs });
  await requireRestoreRights(target, input.namespaces.map(({ to }) => to));
  const how = { kind: 'inspect' as const, only: input.namespaces.map(({ from }) => from) };
  return await atMoment(input, context, () => how, async (reached) => await restoreFrom(reached, target, input, context, startedMs));
}

async function restoreFrom({ moment, mongod }: Reached, target: MongoClient, input: TaskInput<'restore-collections'>, context: TaskContext, startedMs: number): Promise<TaskOutput<'restore-collections'>> {
  await using source = await mongod.client();
  context.step('look at both sides');
  await apart(async () => await nameLeftBehind(target, input, context));
  const at = sayTime(moment.at);
  const plans: CopyPlan[] = [];
  for (const { from, to } of input.namespaces) plans.push(await onTarget(target, `the look at ${to}`, async () => await planCopy(source, target, from, to, input.existing, at)));
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
  const asideSuffix = `aside-${stampFor(context.clock.now())}`;
  let documents = 0;
  for (const copy of plans) {
    context.step(`copy ${copy.from} into ${copy.to}`);
    const run = { onBytes, signal: context.signal, asideSuffix, nowMs: context.clock.now() };
    const result = await onTarget(target, `the copy into ${copy.to}`, async () => await copyCollection(source, target, copy, run));
    documents += result.documents;
    context.say(`${copy.to}: ${result.documents} documents${result.aside === null ? '' : `; the old collection is now ${result.aside}`}`);
  }
  return done(documents);
}

/** What `work` did not say of the source itself was answered by the target. */
async function onTarget<T>(target: MongoClient, what: string, work: () => Promise<T>): Promise<T> {
  return await work().catch(async (error: unknown) => (error instanceof MongoError ? await apart(async () => await withFailures(target, what, async () => await Promise.reject(error))) : await Promise.reject(error as Error)));
}

/** Both may belong to a restore that is at work: named, never dropped. */
async function nameLeftBehind(target: MongoClient, input: TaskInput<'restore-collections'>, context: TaskContext): Promise<void> {
  for (const db of new Set(input.namespaces.map(({ to }) => splitNamespace(to).db))) {
    for (const { ns, own, sinceMs } of await leftBehind(target, db)) {
      const since = Number.isNaN(sinceMs) ? '' : ` since ${new Date(sinceMs).toISOString()}`;
      const says = {
        building: `${ns} is being built by another restore${since}, or was left half built by a killed one: drop it when no restore into ${db} runs`,
        kept: `${ns} is a LIVE collection that a restore moved away to replace it${since}: when no restore into ${db} runs, rename it back, or drop it if the new one is whole`,
      };
      context.say(says[own], 'warning');
    }
  }
}
