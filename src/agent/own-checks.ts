/**
 * Asks an operator's own checks of a mongod that holds a moment.
 *
 * The mongod is thrown away afterwards; still nothing is asked of it that writes or runs a script, and the contract's refusal is
 * made again here. What is answered is bounded in documents, bytes and time, and no value of a document leaves: a check that does
 * not hold says how many documents came, and the path of the first field that differs.
 */
import { BSON, Timestamp, type Document, type MongoClient } from 'mongodb';
import type { ClusterTime } from '../base/cluster-time.ts';
import type { Clock } from '../base/clock.ts';
import { mostDocuments, whatIsWrong, type CheckOutcome, type OwnCheck } from '../contract/checks.ts';

const { calculateObjectSize, EJSON } = BSON;

const mostBytes = 4 << 20;
/** Beyond mongod's own deadline: for one that does not answer any more. */
const graceMs = 5_000;

export async function askChecks(client: MongoClient, checks: readonly OwnCheck[], at: ClusterTime, clock: Clock, signal: AbortSignal): Promise<CheckOutcome[]> {
  const outcomes: CheckOutcome[] = [];
  for (const check of checks) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const { ok, says } = await askOne(client, check, at, signal);
    outcomes.push({ name: check.name, ok, says, seconds: (clock.monotonicMs() - startedMs) / 1000 });
  }
  return outcomes;
}

type Answer = { readonly ok: boolean; readonly says: string };

async function askOne(client: MongoClient, check: OwnCheck, at: ClusterTime, signal: AbortSignal): Promise<Answer> {
  const wrong = whatIsWrong(check);
  if (wrong !== undefined) return { ok: false, says: `it was not asked: it ${wrong}` };
  const ends = AbortSignal.any([signal, AbortSignal.timeout(check.deadlineSeconds * 1000 + graceMs)]);
  try {
    const documents = await answerOf(client, check, at, ends);
    return typeof documents === 'string' ? { ok: false, says: documents } : judgeAnswer(check, documents);
  } catch (error) {
    signal.throwIfAborted();
    const isLate = ends.aborted || (error as { code?: unknown }).code === maxTimeExpired;
    return { ok: false, says: isLate ? `it did not answer within ${check.deadlineSeconds} s` : refusalOf(error) };
  }
}

const maxTimeExpired = 50;

/** The words of mongod may quote the query, which is the operator's own, or values, which are not: its name for the error is enough. */
function refusalOf(error: unknown): string {
  const { codeName, code } = error as { codeName?: unknown; code?: unknown };
  return `mongod refused the question${typeof codeName === 'string' ? `: ${codeName}` : ''}${typeof code === 'number' ? ` (${code})` : ''}`;
}

/** The documents, or why there are none to judge. */
async function answerOf(client: MongoClient, check: OwnCheck, at: ClusterTime, signal: AbortSignal): Promise<Document[] | string> {
  const dot = check.collection.indexOf('.');
  const collection = client.db(check.collection.slice(0, dot)).collection(check.collection.slice(dot + 1));
  const options = { maxTimeMS: check.deadlineSeconds * 1000, batchSize: 20, let: { moment: new Date(at.t * 1000), momentTimestamp: new Timestamp({ t: at.t, i: at.i }) } };
  const pipeline = pipelineOf(check).map((stage) => EJSON.deserialize(stage) as Document);
  const cursor = collection.aggregate(pipeline, options);
  const close = (): void => void cursor.close().catch(() => {});
  signal.addEventListener('abort', close, { once: true });
  try {
    const documents: Document[] = [];
    let bytes = 0;
    for await (const document of cursor) {
      signal.throwIfAborted();
      bytes += calculateObjectSize(document);
      if (documents.length === mostDocuments) return `it is answered with more than ${mostDocuments} documents`;
      if (bytes > mostBytes) return `it is answered with more than ${mostBytes >> 20} MiB`;
      documents.push(document);
    }
    signal.throwIfAborted();
    return documents;
  } finally {
    signal.removeEventListener('abort', close);
    await cursor.close();
  }
}

/** All three are pipelines, so that one set of rules holds for all. */
function pipelineOf({ count, find, aggregate }: OwnCheck): Document[] {
  if (count !== undefined) return [{ $match: count }, { $count: 'n' }];
  const limit = { $limit: mostDocuments + 1 };
  if (find !== undefined) return [{ $match: find.filter }, ...(find.sort === undefined ? [] : [{ $sort: find.sort }]), limit, ...(find.projection === undefined ? [] : [{ $project: find.projection }])];
  return [...(aggregate ?? []), limit];
}

export function judgeAnswer({ count, expect }: Pick<OwnCheck, 'count' | 'expect'>, documents: readonly Document[]): Answer {
  const { equals, atLeast, atMost } = expect;
  const found = count === undefined ? documents.length : Number(documents[0]?.['n'] ?? 0);
  const wanted = Array.isArray(equals) ? equals.length : equals;
  const isWithin = wanted === undefined ? found >= (atLeast ?? 0) && found <= (atMost ?? Infinity) : found === wanted;
  if (!isWithin) return { ok: false, says: `${showCount(found)}, expected ${wanted ?? [...(atLeast === undefined ? [] : [`at least ${atLeast}`]), ...(atMost === undefined ? [] : [`at most ${atMost}`])].join(' and ')}` };
  if (!Array.isArray(equals)) return { ok: true, says: showCount(found) };
  for (const [at, one] of documents.entries()) {
    const path = differsAt(plain(one), plain(EJSON.deserialize(equals[at]!) as Document));
    if (path !== undefined) return { ok: false, says: `document ${at + 1} of ${found} differs${path === '' ? '' : ` in ${path}`}` };
  }
  return { ok: true, says: `${showCount(found)}, as expected` };
}

const showCount = (count: number): string => `${count} ${count === 1 ? 'document' : 'documents'}`;

/** Numbers by value, whatever their type; everything else as extended JSON has it. */
const plain = (value: Document): unknown => EJSON.serialize(value, { relaxed: true });

/** The path of the first difference; undefined where there is none. */
function differsAt(found: unknown, wanted: unknown, path = ''): string | undefined {
  if (!isObject(found) || !isObject(wanted) || Array.isArray(found) !== Array.isArray(wanted)) return Object.is(found, wanted) ? undefined : path;
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const below = path === '' ? key : `${path}.${key}`;
    if (!(key in found) || !(key in wanted)) return below;
    const differs = differsAt(found[key], wanted[key], below);
    if (differs !== undefined) return differs;
  }
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
