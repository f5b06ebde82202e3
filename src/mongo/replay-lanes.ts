/**
 * Writes spread over connections: the same document always goes the same way, so its writes stay in order; different
 * documents overtake each other.
 *
 * A lane gathers writes for each collection and sends them as three commands: inserts, then updates, then deletes. That is
 * the order for any one document too, as long as nothing follows its delete; an insert or update that would is preceded by
 * sending what is gathered. One send of a lane is under way while it gathers the next.
 */
import type { Document } from 'mongodb';
import { asBuffer, DOUBLE, fieldOf, INT32, INT64, readLong } from './bson-bytes.ts';
import { boolean, field, int32, text, wrap } from './bson-writer.ts';
import { statementsOf } from './diff-statements.ts';
import type { OpMsg } from './op-msg.ts';
import type { Operation } from './replay-operations.ts';
import { commandReplayDiverged } from './replay-failures.ts';

export type LaneCounts = { inserts: number; updates: number; deletes: number; byDiff: number };

export type Lanes = {
  /** `ordered`: all of this collection in one lane (capped collections, collections whose ids have a collation). */
  write(operation: Operation, ordered: boolean): Promise<void>;
  /** Until everything is applied. */
  flush(): Promise<void>;
  readonly counts: LaneCounts;
};

const writesAtOnce = 1_000;
const bytesAtOnce = 8 << 20;

export function openLanes(wires: readonly OpMsg[]): Lanes {
  const counts: LaneCounts = { inserts: 0, updates: 0, deletes: 0, byDiff: 0 };
  const lanes = wires.map((wire) => openLane(wire, counts));
  return {
    counts,
    write: async (operation, ordered) => await lanes[laneOf(operation, ordered, lanes.length)]!.add(operation, ordered),
    flush: async () => {
      await Promise.all(lanes.map(async (lane) => await lane.flush()));
    },
  };
}

/** The `_id` of what an operation writes, as type and bytes. */
function idOf(operation: Operation): { type: number; bytes: Uint8Array } {
  const document = operation.op === 'u' ? (operation.o2 ?? operation.o) : operation.o;
  const id = fieldOf(document, '_id');
  if (id === undefined)
    throw commandReplayDiverged({
      at: operation.at,
      ns: operation.ns,
      why: `an operation ${operation.op} without _id`,
    });
  return { type: id.type, bytes: document.subarray(id.value, id.value + id.size) };
}

/**
 * Equal ids must meet, and 1, 1.0 and NumberLong(1) are equal: numbers go by their value. Decimals, documents and arrays can
 * be equal in more ways, so they all go one way.
 */
function laneOf(operation: Operation, ordered: boolean, lanes: number): number {
  if (lanes === 1) return 0;
  const { type, bytes } = idOf(operation);
  return hash(`${operation.ui ?? operation.ns} ${ordered ? '' : identity(type, bytes)}`) % lanes;
}

function identity(type: number, bytes: Uint8Array): string {
  if (type === INT32) return `n${asBuffer(bytes).readInt32LE(0)}`;
  if (type === INT64) return `n${readLong(asBuffer(bytes), 0)}`;
  if (type === DOUBLE) return `n${asBuffer(bytes).readDoubleLE(0)}`;
  if (type === 0x13 || type === 3 || type === 4) return '';
  return asBuffer(bytes).toString('latin1');
}

/** FNV-1a. */
function hash(value: string): number {
  let at = 0x811c9dc5;
  for (let k = 0; k < value.length; k++) at = Math.imul(at ^ value.charCodeAt(k), 0x01000193);
  return at >>> 0;
}

type Gathered = {
  inserts: Uint8Array[];
  updates: Uint8Array[];
  deletes: Uint8Array[];
  gone: Set<string>;
  at: Operation;
  ordered: boolean;
};
type Lane = { add(operation: Operation, ordered: boolean): Promise<void>; flush(): Promise<void> };

function openLane(wire: OpMsg, counts: LaneCounts): Lane {
  let gathered = new Map<string, Gathered>();
  let writes = 0;
  let bytes = 0;
  let under: Promise<void> = Promise.resolve();
  const send = async (): Promise<void> => {
    const all = gathered;
    gathered = new Map();
    writes = 0;
    bytes = 0;
    await under;
    under = sendAll(wire, all);
    under.catch(() => {});
  };
  const flush = async (): Promise<void> => {
    await send();
    await under;
  };
  const add = async (operation: Operation, ordered: boolean): Promise<void> => {
    const statements = operation.op === 'u' ? statementsOf(operation.o) : [];
    if (statements === undefined) {
      await flush();
      counts.byDiff++;
      return await applyOne(wire, operation);
    }
    const id = idOf(operation);
    const key = identity(id.type, id.bytes);
    const before = gathered.get(operation.ns);
    const overtakes = ordered ? !follows(before, operation) : operation.op !== 'd' && before?.gone.has(key) === true;
    if (overtakes) await send();
    const group = groupFor(gathered, operation, ordered);
    const q = field(3, 'q', wrap(field(id.type, '_id', id.bytes)));
    if (operation.op === 'i') group.inserts.push(operation.o);
    else if (operation.op === 'd') group.deletes.push(wrap(q, field(16, 'limit', int32(1))));
    else
      for (const u of statements)
        group.updates.push(wrap(q, field(3, 'u', u), boolean('multi', false), boolean('upsert', false)));
    if (operation.op === 'd') group.gone.add(key);
    counts[operation.op === 'i' ? 'inserts' : operation.op === 'd' ? 'deletes' : 'updates']++;
    writes += Math.max(1, statements.length);
    bytes += operation.o.length;
    if (writes >= writesAtOnce || bytes >= bytesAtOnce) await send();
  };
  return { add, flush };
}

/** In a collection whose order counts, only a run of one kind is gathered. */
function follows(group: Gathered | undefined, { op }: Operation): boolean {
  if (group === undefined) return true;
  if (op === 'i') return group.updates.length === 0 && group.deletes.length === 0;
  return op === 'u'
    ? group.inserts.length === 0 && group.deletes.length === 0
    : group.inserts.length === 0 && group.updates.length === 0;
}

function groupFor(gathered: Map<string, Gathered>, operation: Operation, ordered: boolean): Gathered {
  const group = gathered.get(operation.ns) ?? {
    inserts: [],
    updates: [],
    deletes: [],
    gone: new Set(),
    at: operation,
    ordered,
  };
  group.at = operation;
  gathered.set(operation.ns, group);
  return group;
}

async function sendAll(wire: OpMsg, gathered: ReadonlyMap<string, Gathered>): Promise<void> {
  for (const [ns, { inserts, updates, deletes, at, ordered }] of gathered) {
    const dot = ns.indexOf('.');
    const [db, name] = [ns.slice(0, dot), ns.slice(dot + 1)];
    const common = { ordered: true, $db: db };
    const check = async (
      command: Document,
      sequence: string,
      documents: readonly Uint8Array[],
      exact: boolean,
    ): Promise<void> => {
      if (documents.length === 0) return;
      const reply = await wire.run({ ...command, ...common }, { field: sequence, documents });
      const [error] = (reply['writeErrors'] ?? []) as Document[];
      if (error !== undefined) throw commandReplayDiverged({ at: at.at, ns, why: String(error['errmsg']) });
      if (exact && reply['n'] !== documents.length)
        throw commandReplayDiverged({
          at: at.at,
          ns,
          why: `${sequence}: ${reply['n']} of ${documents.length} found their document`,
        });
    };
    await check({ insert: name, bypassDocumentValidation: true }, 'documents', inserts, true);
    await check({ update: name, bypassDocumentValidation: true }, 'updates', updates, true);
    // A capped collection has already dropped what these name, by itself.
    await check({ delete: name }, 'deletes', deletes, !ordered);
  }
}

/** One operation as applyOps takes it. */
export async function applyOne(
  wire: OpMsg,
  operation: Operation,
  ui: string | undefined = operation.ui,
): Promise<void> {
  const reply = await wire.run(applyOpsCommand(operation, ui));
  const results = (reply['results'] ?? []) as unknown[];
  if (results.some((result) => result !== true))
    throw commandReplayDiverged({ at: operation.at, ns: operation.ns, why: 'applyOps refused it' });
}

function applyOpsCommand({ op, ns, o, o2 }: Operation, ui: string | undefined): Uint8Array {
  const parts = [text('op', op), text('ns', ns), field(3, 'o', o)];
  if (o2 !== undefined && op === 'u') parts.push(field(3, 'o2', o2));
  if (ui !== undefined)
    parts.push(field(5, 'ui', Buffer.concat([int32(16), Buffer.from([4]), Buffer.from(ui, 'hex')])));
  const list = wrap(field(3, '0', wrap(...parts)));
  return wrap(field(4, 'applyOps', list), boolean('alwaysUpsert', false), text('$db', 'admin'));
}
