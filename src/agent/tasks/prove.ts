/**
 * Proof of a restore point: a real mongod opens it, reaches a moment, and everything in it is looked at.
 *
 *   open   every collection listed and counted; `validate` on the smallest collections up to a bounded size
 *   full   every collection validated in full, and dbHash of every database
 */
import type { Document, MongoClient } from 'mongodb';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { hashAll } from '../../mongo/dbhash.ts';
import { proofFailed } from '../failures.ts';
import { openMoment, sayMoment } from '../moment.ts';
import { reachMoment } from '../reach.ts';
import type { TaskContext } from '../task-context.ts';

type Proof = TaskOutput<'prove'>;

/** What `open` validates at most, in bytes of documents: seconds, not minutes. */
const validatedBytes = 64 << 20;

export async function prove(input: TaskInput<'prove'>, context: TaskContext): Promise<Proof> {
  const startedMs = context.clock.monotonicMs();
  context.step('choose the moment');
  const moment = await openMoment(input.archive, input.point, input.at, context);
  context.say(sayMoment(moment));
  await using reached = await reachMoment(moment, context, { kind: 'inspect' });
  await using client = await reached.mongod.client();
  context.step('list and count every collection');
  const listed = await listCollections(client);
  const chosen = input.level === 'full' ? new Set(listed.map(({ ns }) => ns)) : smallest(listed);
  context.step(`validate ${chosen.size} of ${listed.length} collections`);
  const collections: Proof['collections'] = [];
  for (const { ns, documents } of listed) {
    context.signal.throwIfAborted();
    if (chosen.has(ns)) await validate(client, ns, input.level === 'full', moment.point.id);
    collections.push({ ns, documents, validated: chosen.has(ns) });
  }
  if (input.level === 'full') context.step('take dbHash of every database');
  const dbHash = input.level === 'full' ? await hashAll(client) : null;
  const seconds = (context.clock.monotonicMs() - startedMs) / 1000;
  context.say(`${collections.length} collections listed, ${chosen.size} validated, ${seconds.toFixed(1)} s`);
  return { at: moment.at, level: input.level, collections, dbHash, mount: reached.mount, seconds };
}

type Listed = { ns: string; documents: number; bytes: number };

async function listCollections(client: MongoClient): Promise<Listed[]> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  const found: Listed[] = [];
  for (const { name } of databases) {
    if (name === 'local') continue;
    for (const info of await client.db(name).listCollections({ type: 'collection' }, { nameOnly: true }).toArray()) {
      const [stats] = await client.db(name).collection(info.name).aggregate([{ $collStats: { count: {}, storageStats: {} } }]).toArray();
      found.push({ ns: `${name}.${info.name}`, documents: Number(stats?.['count'] ?? 0), bytes: Number(stats?.['storageStats']?.['size'] ?? 0) });
    }
  }
  return found.sort((a, b) => (a.ns < b.ns ? -1 : 1));
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
