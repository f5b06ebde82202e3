/**
 * Asks an operator's own checks of a mongod that holds a moment.
 *
 * The mongod is thrown away afterwards; still nothing is asked of it that writes or runs a script, and the contract's refusal is
 * made again here. What is answered is bounded in documents, bytes and time, and nothing of a document leaves, names of its fields
 * included, which may be values (maps by address, `$arrayToObject`): a check that does not hold says how many documents came, and
 * where the first of them differs, as far as the check itself names the way.
 *
 *   asked ─ answers, or ends at its own deadline (maxTimeMS) ─→ the next one
 *     └─ is silent past that, or mongod is gone ─→ lost: no further one is asked, and what was asked ends with its client
 */
import { BSON, MongoNetworkError, MongoServerSelectionError, Timestamp, type DBRef, type Document, type MongoClient } from 'mongodb';
import type { ClusterTime } from '../base/cluster-time.ts';
import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import { mostDocuments, whatIsWrong, type CheckOutcome, type OwnCheck } from '../contract/checks.ts';
import { numberOf } from './number-value.ts';

const { calculateObjectSize, EJSON } = BSON;

const mostBytes = 4 << 20;
/** Of what is said; the names in it are the operator's and may be of any length. */
const mostSaid = 300;
/** Beyond mongod's own deadline: for one that does not answer any more. */
const usualGraceMs = 5_000;

/** One outcome for each check, in their order, as soon as it is there: all of them together may take days. */
export async function* askChecks(client: MongoClient, checks: readonly OwnCheck[], at: ClusterTime, clock: Clock, signal: AbortSignal, graceMs = usualGraceMs): AsyncGenerator<CheckOutcome> {
  let isLost = false;
  for (const check of checks) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const answer: Answer = isLost ? { ok: false, says: 'it was not asked: mongod does not answer any more' } : await askOne(client, check, at, signal, graceMs);
    isLost ||= answer.isLost === true;
    yield { name: check.name, ok: answer.ok, says: shortened(answer.says), seconds: (clock.monotonicMs() - startedMs) / 1000 };
  }
}

/** A pair of surrogates that was cut apart can be stored nowhere. */
const shortened = (says: string): string => (says.length <= mostSaid ? says : `${says.slice(0, mostSaid - 1)}…`).toWellFormed();

type Answer = { readonly ok: boolean; readonly says: string; /** mongod may never answer anything again. */ readonly isLost?: true };

async function askOne(client: MongoClient, check: OwnCheck, at: ClusterTime, signal: AbortSignal, graceMs: number): Promise<Answer> {
  const wrong = whatIsWrong(check);
  if (wrong !== undefined) return { ok: false, says: `it was not asked: it ${wrong}` };
  const late = `it did not answer within ${check.deadlineSeconds} s`;
  try {
    const documents = await withDeadline(`check "${check.name}"`, check.deadlineSeconds * 1000 + graceMs, async (ends) => await answerOf(client, check, at, ends), signal);
    return typeof documents === 'string' ? { ok: false, says: documents } : judgeAnswer(check, documents);
  } catch (error) {
    signal.throwIfAborted();
    if (isFailure(error, deadlinePassed)) return { ok: false, says: late, isLost: true };
    if (error instanceof MongoNetworkError || error instanceof MongoServerSelectionError) return { ok: false, says: 'it was not answered: the connection to mongod was lost', isLost: true };
    return { ok: false, says: (error as { code?: unknown }).code === maxTimeExpired ? late : refusalOf(error) };
  }
}

const maxTimeExpired = 50;

/** The words of mongod may quote the query, which is the operator's own, or values, which are not: its name for the error is enough. */
function refusalOf(error: unknown): string {
  const { codeName, code } = error as { codeName?: unknown; code?: unknown };
  return `mongod refused the question${typeof codeName === 'string' ? `: ${codeName}` : ''}${typeof code === 'number' ? ` (${code})` : ''}`;
}

/** The documents, or why there are none to judge. The driver waits for a silent mongod as long as its client lives, whatever `signal` says. */
async function answerOf(client: MongoClient, check: OwnCheck, at: ClusterTime, signal: AbortSignal): Promise<Document[] | string> {
  const dot = check.collection.indexOf('.');
  const collection = client.db(check.collection.slice(0, dot)).collection(check.collection.slice(dot + 1));
  const options = { maxTimeMS: check.deadlineSeconds * 1000, batchSize: 20, let: { moment: new Date(at.t * 1000), momentTimestamp: new Timestamp({ t: at.t, i: at.i }) } };
  const pipeline = pipelineOf(check).map(documentOf);
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
    const differs = differsAt(one, documentOf(equals[at]!));
    if (differs !== undefined) return { ok: false, says: `document ${at + 1} of ${found} ${differs}` };
  }
  return { ok: true, says: `${showCount(found)}, as expected` };
}

const showCount = (count: number): string => `${count} ${count === 1 ? 'document' : 'documents'}`;

/** Extended JSON as it is meant. Strict parsing would keep 64 bits, too, but refuse `{ $date: 0 }`, a date in plain milliseconds. */
const documentOf = (stage: Document): Document => EJSON.deserialize(stage, { useBigInt64: true }) as Document;

/** The first difference; undefined where there is none. Every name in it is one of the check's own. */
function differsAt(found: unknown, wanted: unknown, path = ''): string | undefined {
  const [mine, theirs] = [insideOf(found), insideOf(wanted)];
  if (mine === undefined || theirs === undefined || Array.isArray(mine) !== Array.isArray(theirs)) {
    const isEqual = mine === undefined && theirs === undefined && isSame(found, wanted);
    return isEqual ? undefined : `differs${inside(path)}`;
  }
  for (const [key, value] of Object.entries(theirs)) {
    const below = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(mine, key)) return `differs${inside(below)}`;
    const differs = differsAt(mine[key], value, below);
    if (differs !== undefined) return differs;
  }
  const isMore = Object.keys(mine).some((key) => !Object.hasOwn(theirs, key));
  return isMore ? `has ${Array.isArray(mine) ? 'an element' : 'a field'} that is not expected${inside(path)}` : undefined;
}

const inside = (path: string): string => (path === '' ? '' : ` in ${path}`);

/** What is looked into: documents and arrays, and references, whose parts are fields. Every other value is compared as a whole. */
function insideOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) return value as Record<string, unknown>;
  return (value as { _bsontype?: unknown })._bsontype === 'DBRef' ? (value as DBRef).toJSON() : undefined;
}

/** Numbers by value, whatever their type; everything else as extended JSON has it. */
function isSame(found: unknown, wanted: unknown): boolean {
  const [mine, theirs] = [numberOf(found), numberOf(wanted)];
  if (mine !== undefined || theirs !== undefined) return mine === theirs;
  return canonical(found) === canonical(wanted);
}

const canonical = (value: unknown): string => EJSON.stringify({ value }, { relaxed: false });
