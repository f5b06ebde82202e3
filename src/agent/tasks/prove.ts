/**
 * Proof of a restore point: a real mongod opens it, reaches a moment, and everything in it is looked at.
 *
 *   open   every collection listed; documents counted on the _id index, the smallest collections first, for a minute at most,
 *          and the rest by metadata; `validate` on the smallest collections up to a bounded size
 *   full   every collection counted and validated in full, and dbHash of every database
 *
 * The operator's own checks come last: what they ask has been validated by then. One that does not hold is an answer.
 */
import type { Document, MongoClient } from 'mongodb';
import type { CheckOutcome } from '../../contract/checks.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { hashAll } from '../../mongo/dbhash.ts';
import { countCollections, listCollections, type Listed } from '../collection-counts.ts';
import { proofFailed } from '../failures.ts';
import { atMoment, type Reached } from '../reach.ts';
import { askChecks } from '../own-checks.ts';
import type { TaskContext } from '../task-context.ts';

type Proof = TaskOutput<'prove'>;

/** What `open` validates at most, in bytes of documents: seconds, not minutes. */
const validatedBytes = 64 << 20;
/** How long `open` counts at most. */
const countingMs = 60_000;

export async function prove(input: TaskInput<'prove'>, context: TaskContext): Promise<Proof> {
  const startedMs = context.clock.monotonicMs();
  return await atMoment(input, context, () => ({ kind: 'prove' }), async (reached) => await lookAt(reached, input, context, startedMs));
}

async function lookAt({ moment, mongod, mount }: Reached, input: TaskInput<'prove'>, context: TaskContext, startedMs: number): Promise<Proof> {
  await using client = await mongod.client();
  context.step('list and count every collection');
  const listed = await listCollections(client);
  const counts = await countCollections(client, listed, input.level === 'full' ? null : countingMs, context.clock, context.signal);
  const chosen = input.level === 'full' ? new Set(listed.map(({ ns }) => ns)) : smallest(listed);
  context.step(`validate ${chosen.size} of ${listed.length} collections`);
  const collections: Proof['collections'] = [];
  for (const { ns } of listed) {
    context.signal.throwIfAborted();
    if (chosen.has(ns)) await validate(client, ns, input.level === 'full', moment.point.id);
    collections.push({ ns, ...counts.get(ns)!, validated: chosen.has(ns) });
  }
  if (input.level === 'full') context.step('take dbHash of every database');
  const dbHash = input.level === 'full' ? await hashAll(client) : null;
  if (input.checks.length > 0) context.step(`ask ${input.checks.length} own checks`);
  const checks: CheckOutcome[] = [];
  for await (const outcome of askChecks(client, input.checks, moment.at, context.clock, context.signal)) {
    const { name, ok, says } = outcome;
    // Said at once: a task that is silent for long is taken for one that hangs.
    context.say(`check "${name}" ${ok ? 'holds' : 'FAILED'}: ${says}`, ok ? 'info' : 'error');
    checks.push(outcome);
  }
  const seconds = (context.clock.monotonicMs() - startedMs) / 1000;
  context.say(`${collections.length} collections listed, ${collections.filter(({ counted }) => counted).length} counted, ${chosen.size} validated, ${seconds.toFixed(1)} s`);
  return { at: moment.at, level: input.level, collections, dbHash, checks, mount, seconds };
}

function smallest(listed: readonly Listed[]): Set<string> {
  let left = validatedBytes;
  const chosen = new Set<string>();
  for (const { ns, bytes } of [...listed].sort((a, b) => a.bytes - b.bytes)) {
    if (bytes > left) break;
    left -= bytes;
    chosen.add(ns);
  }
  return chosen;
}

async function validate(client: MongoClient, ns: string, full: boolean, point: string): Promise<void> {
  const dot = ns.indexOf('.');
  const answer: Document = await client.db(ns.slice(0, dot)).command({ validate: ns.slice(dot + 1), full });
  if (answer['valid'] === true) return;
  throw proofFailed({ point, what: `validate of ${ns} found ${JSON.stringify(answer['errors'] ?? []).slice(0, 400)}` });
}
