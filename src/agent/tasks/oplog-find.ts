/**
 * Which operation did it: a search through the archived oplog.
 *
 * Inner operations of transactions and of grouped inserts are looked at one by one and answered with the time of the
 * entry that made them visible to a reader.
 */
import { BSON, type Document } from 'mongodb';
import { compareTimes, earliest, latest, type ClusterTime, type Optime } from '../../base/cluster-time.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { entriesOf } from '../../mongo/oplog-entry.ts';
import { openArchiveAt } from '../archive-access.ts';
import { matchNotUnderstood } from '../failures.ts';
import type { TaskContext } from '../task-context.ts';
import { surveyChains } from '../chain-spans.ts';

type Match = TaskOutput<'oplog-find'>['matches'][number];
type Operation = { op: string; ns: string; o: Document; o2?: Document };

const wanted = { insert: 'i', update: 'u', delete: 'd', command: 'c' } as const;
const shown = { i: 'insert', u: 'update', d: 'delete', c: 'command' } as const;

export async function findInOplog(input: TaskInput<'oplog-find'>, context: TaskContext): Promise<TaskOutput<'oplog-find'>> {
  context.step('search the archived oplog');
  const archive = await openArchiveAt(input.archive, context);
  const fields = input.match === null ? {} : readMatch(input.match);
  const accepts = (operation: Operation): boolean =>
    (input.op === null || operation.op === wanted[input.op]) && (input.ns === null || touches(operation, input.ns)) && agrees(operation, fields);
  const found = new Map<string, Match>();
  let examined = 0;
  const { spans, damaged, missing } = await surveyChains(archive);
  for (const { object, what } of [...damaged, ...missing]) context.say(`${object}: ${what}`, 'warning');
  let searchedThrough: ClusterTime | null = null;
  for (const span of spans) {
    const after = input.since === null ? span.after : latest(span.after, before(input.since));
    const through = input.until === null ? span.through : earliest(span.through, input.until);
    if (compareTimes(after, through) >= 0) continue;
    searchedThrough = searchedThrough === null ? through : latest(searchedThrough, through);
    for await (const batch of archive.oplog.read(span.chain, after, through)) {
      context.signal.throwIfAborted();
      for (const entry of entriesOf(batch.bytes)) {
        examined++;
        if (entry.op === 'n') continue;
        for (const [index, operation] of operationsOf(entry.bytes).entries()) {
          if (!accepts(operation)) continue;
          found.set(`${entry.at.t},${entry.at.i},${index}`, matchOf(entry.at, entry.wallMs, operation));
          if (found.size >= input.limit) return { matches: [...found.values()], examined, truncated: true, searchedThrough: { t: entry.at.t, i: entry.at.i } };
        }
      }
    }
  }
  return { matches: [...found.values()], examined, truncated: false, searchedThrough };
}

function readMatch(match: string): Document {
  try {
    const fields: unknown = BSON.EJSON.parse(match, { relaxed: false });
    if (typeof fields === 'object' && fields !== null) return fields;
    throw new Error('it is not an object');
  } catch (error) {
    throw matchNotUnderstood({ match: match.slice(0, 200), why: (error as Error).message }, error);
  }
}

function operationsOf(bytes: Uint8Array): Operation[] {
  const entry = BSON.deserialize(bytes, { promoteValues: false, promoteBuffers: false }) as { op: string; ns: string; o: Document; o2?: Document };
  const plain = { op: String(entry.op), ns: String(entry.ns), o: entry.o, o2: entry.o2 };
  const inner: unknown = plain.op === 'c' ? plain.o['applyOps'] : undefined;
  return Array.isArray(inner) ? (inner as Operation[]).map(({ op, ns, o, o2 }) => ({ op: String(op), ns: String(ns), o, o2 })) : [plain];
}

/** A database alone stands for all in it. A command names its collection in its first field; a rename touches two. */
function touches({ op, ns, o }: Operation, wantedNs: string): boolean {
  if (!wantedNs.includes('.')) return ns.startsWith(`${wantedNs}.`);
  if (op !== 'c') return ns === wantedNs;
  const db = ns.slice(0, ns.indexOf('.'));
  const [command, target] = Object.entries(o)[0] ?? [];
  if (command === 'dropDatabase') return wantedNs.startsWith(`${db}.`);
  if (command === 'renameCollection') return String(target) === wantedNs || String(o['to']) === wantedNs;
  return `${db}.${String(target)}` === wantedNs;
}

function agrees({ o, o2 }: Operation, fields: Document): boolean {
  return Object.entries(fields).every(([name, value]) => [o, o2].some((part) => part !== undefined && same(pathOf(part, name), value)));
}

function pathOf(document: Document, path: string): unknown {
  let at: unknown = document;
  for (const part of path.split('.')) {
    if (at === null || typeof at !== 'object') return undefined;
    at = (at as Document)[part];
  }
  return at;
}

function same(a: unknown, b: unknown): boolean {
  return a !== undefined && BSON.EJSON.stringify(a as Document, { relaxed: true }) === BSON.EJSON.stringify(b as Document, { relaxed: true });
}

function matchOf(at: Optime, wallMs: number | undefined, operation: Operation): Match {
  const entry = BSON.EJSON.stringify({ op: operation.op, ns: operation.ns, o: operation.o, ...(operation.o2 === undefined ? {} : { o2: operation.o2 }) }, { relaxed: true });
  return { at, wallMs: wallMs ?? null, op: shown[operation.op as keyof typeof shown] ?? operation.op, ns: operation.ns, what: inWords(operation), entry: entry.slice(0, 4_000) };
}

function inWords({ op, o, o2 }: Operation): string {
  const id = (document: Document | undefined): string => BSON.EJSON.stringify({ _id: document?.['_id'] as unknown }, { relaxed: true }).slice(0, 200);
  if (op === 'i') return `insert ${id(o)}`;
  if (op === 'd') return `delete ${id(o)}`;
  if (op === 'u') return `update ${id(o2)}: ${BSON.EJSON.stringify(o['diff'] ?? o, { relaxed: true }).slice(0, 200)}`;
  return BSON.EJSON.stringify(o, { relaxed: true }).slice(0, 240);
}

function before({ t, i }: ClusterTime): ClusterTime {
  return i > 0 ? { t, i: i - 1 } : { t: t - 1, i: 0xffffffff };
}

