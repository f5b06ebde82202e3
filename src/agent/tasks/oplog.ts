/**
 * Follows a set's oplog into the archive, for as long as the set is protected.
 *
 *   new chain ── batches ──▶ following ── every `flushSeconds`, or 8 MB ──▶ one durable slice
 *                               │ broken (gap, rollback, rolled over)
 *                               ▼
 *                   flush what is proved, start a new chain that says why, ask for a new base, follow on
 *
 * A barrier (an entry that cannot be replayed over) does not break the chain: it is recorded in it, and a new base is
 * asked for, because no moment behind it can be reached from a point before it.
 */
import { timeOf, type ClusterTime, type Optime, sayTime, showTime } from '../../base/cluster-time.ts';
import type { Clock } from '../../base/clock.ts';
import { describe } from '../../base/failure.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { barrierOf, entriesOf } from '../../mongo/oplog-entry.ts';
import type { OplogBatch } from '../../mongo/oplog-batch.ts';
import { chooseChainStart, followOplog, type BreakReason, type TailEvent } from '../../mongo/oplog-tail.ts';
import type { Barrier, Chain, OplogArchive } from '../../repository/archive.ts';
import { openArchiveAt } from '../archive-access.ts';
import { lookAtSet } from '../set-look.ts';
import type { TaskContext } from '../task-context.ts';
import { followStretch, listsLagSeconds } from './followed-stretch.ts';

type Writer = Awaited<ReturnType<OplogArchive['openChainWriter']>>;
type Input = TaskInput<'oplog'>;

const sliceBytes = 8 << 20;
const statusEveryMs = 1_000;
const lookEveryMs = 60_000;

const reasons: Record<BreakReason, string> = {
  rollback: 'rollback: the set disowned operations that had been archived',
  'rolled-over': 'the oplog rolled over before it could be archived',
};

export async function followSetOplog(input: Input, context: TaskContext): Promise<TaskOutput<'oplog'>> {
  context.step('open the archive');
  const archive = await openArchiveAt(input.archive, context);
  using _ = tellReach(input, context);
  const isAppendOnly = archive.parts.storage.appendOnly === true;
  let chain = await newestChain(archive.oplog, async (why, previous) => await startChain(archive.oplog, input, why, previous, context), { ...context, isAppendOnly });
  for (;;) {
    await using writer = closing(await archive.oplog.openChainWriter(chain, input.setName));
    const broken = await follow(archive.oplog, chain, writer, input, context);
    if (broken === 'stopped') return { through: writer.through };
    context.say(`the oplog chain is broken after ${showTime(writer.through)}: ${broken}`, 'error');
    const next = await startChain(archive.oplog, input, broken, chain, context);
    context.status('broken', { atMs: context.clock.now(), reason: broken, chain, next, after: writer.through });
    chain = next;
  }
}

/** Each minute: how long the oplog of each member covers an archive that stands still. Unanswered looks are left out. */
function tellReach(input: Input, context: TaskContext): Disposable {
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking || context.signal.aborted) return;
    isLooking = true;
    try {
      const { members } = await lookAtSet(input.target);
      context.status('reach', { members: members.map(({ host, port, oplogSeconds, oplogReachSeconds }) => ({ member: `${host}:${port}`, heldSeconds: oplogSeconds, reachSeconds: oplogReachSeconds })) });
    } catch (error) {
      context.log.warn('the oplogs of the members were not looked at; it is tried again', { why: describe(error) });
    } finally {
      isLooking = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), lookEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

type Following = Pick<TaskContext, 'say' | 'status' | 'clock'> & { /** Nothing is written here in front of what is archived. */ readonly isAppendOnly?: boolean };

/**
 * The newest chain there is goes on; why it was begun and what its barriers are is told again. One that leads nowhere, because its start or the place of a barrier in it cannot be read, does not: whatever
 * is archived behind it, no moment there can be reached. Nor does one whose first slice is gone, over a data channel: it would be archived anew from its start,
 * and the side that serves cannot know that nothing was there. The next one begins, and says why.
 */
export async function newestChain(oplog: Pick<OplogArchive, 'chains' | 'slices' | 'barriers' | 'runs'>, begin: (why: string, previous: string | null) => Promise<string>, context: Following): Promise<string> {
  const { chains, hurt } = await oplog.chains();
  const known = chains.at(-1);
  // Ids sort by the time they were made.
  const lost = hurt.map(({ chain }) => chain).sort().at(-1);
  if (known === undefined && lost === undefined) return await begin('first chain of this set', null);
  const endOf = async (chain: Chain | undefined): Promise<ClusterTime> => (chain === undefined ? { t: 0, i: 0 } : ((await oplog.slices(chain.id)).at(-1)?.through ?? chain.start.after));
  const goOnBehind = async (chain: string, why: string, after: ClusterTime, isUseless = true): Promise<string> => {
    context.say(why, 'error');
    const next = await begin(why, chain);
    context.status('broken', { atMs: context.clock.now(), reason: why, chain, next, after: timeOf(after), isUseless });
    return next;
  };
  if (lost !== undefined && (known === undefined || lost > known.id)) return await goOnBehind(lost, `the start of oplog chain ${lost} is damaged, and nothing of it can be used`, await endOf(known));
  const { id, start } = known!;
  const { barriers, isWhole } = await oplog.barriers(id);
  if (isWhole) {
    const lastBehind = context.isAppendOnly === true ? await endBehindLostStart(oplog, id, context.clock) : undefined;
    if (lastBehind !== undefined) return await goOnBehind(id, `the first archived entries of oplog chain ${id} are missing in the repository`, lastBehind, false);
    await tellAgain(oplog, known!, { chains: chains.slice(0, -1), hurt, endOf }, barriers, context);
    return id;
  }
  return await goOnBehind(id, `nobody knows where a barrier of oplog chain ${id} is, and nothing of it can be used`, start.after);
}

/** When it happened, the server or its link may have been away until that follower was gone. Told twice it is one alarm; `since`: a point that is made from there on makes up for it. */
async function tellAgain(oplog: Pick<OplogArchive, 'barriers'>, { id, start, startedAtMs }: Chain, before: ChainsBefore, barriers: readonly Barrier[], { status }: Pick<TaskContext, 'status'>): Promise<void> {
  const { previous, why: reason } = start;
  if (previous !== null) {
    const ended = before.chains.find((chain) => chain.id === previous);
    const isDamaged = before.hurt.some(({ chain }) => chain === previous);
    const isUseless = isDamaged || (ended !== undefined && !(await oplog.barriers(previous)).isWhole);
    // Of one that retention has removed nothing is left to be reached.
    const after = isDamaged ? await before.endOf(before.chains.at(-1)) : ended === undefined ? start.after : isUseless ? ended.start.after : await before.endOf(ended);
    status('broken', { atMs: startedAtMs, reason, chain: previous, next: id, after: timeOf(after), isUseless, since: timeOf(start.after) });
  }
  for (const { at, what } of barriers) status('barrier', { at: timeOf(at), what, chain: id, since: timeOf(at) });
}

type ChainsBefore = Awaited<ReturnType<OplogArchive['chains']>> & { endOf(chain: Chain | undefined): Promise<ClusterTime> };

/** Where the chain ends though its first slice is gone. What was written lately may be missing in a list only. */
async function endBehindLostStart(oplog: Pick<OplogArchive, 'runs'>, chain: string, clock: Clock): Promise<ClusterTime | undefined> {
  const runs = await oplog.runs(chain);
  const end = runs[0]?.length === 0 ? runs.at(-1)?.at(-1)?.through : undefined;
  return end !== undefined && end.t < clock.now() / 1000 - listsLagSeconds ? end : undefined;
}

function closing(writer: Writer): Writer & AsyncDisposable {
  return Object.assign(writer, { [Symbol.asyncDispose]: async () => await writer.close() });
}

async function startChain(oplog: OplogArchive, input: Input, why: string, previous: string | null, context: TaskContext): Promise<string> {
  const after = await chooseChainStart(input.target, context.log);
  const chain = await oplog.startChain({ why, after, previous });
  context.say(`a new oplog chain starts after ${sayTime(after)}: ${why}`);
  return chain;
}

/** Archives until the chain breaks (answers why), the task is stopped, or, where it is to, it has caught up. What was read is flushed in both cases. */
async function follow(oplog: OplogArchive, chain: string, writer: Writer, input: Input, context: TaskContext): Promise<string> {
  const { clock } = context;
  context.step(`follow the oplog from ${showTime(writer.through)}`);
  const begunMs = clock.now();
  let flushedMs = clock.monotonicMs();
  let saidMs = Number.NEGATIVE_INFINITY;
  let entries = 0;
  let node = '';
  using stretch = await followStretch(oplog, chain, writer, context);
  const flush = async (): Promise<void> => {
    if (writer.pendingBytes > 0) await writer.flush();
    flushedMs = clock.monotonicMs();
  };
  const say = (state: 'following' | 'waiting', committed: Optime | null, why: string | null): void => {
    const elapsedMs = clock.monotonicMs() - saidMs;
    if (elapsedMs < statusEveryMs) return;
    const entriesPerSecond = Number.isFinite(elapsedMs) ? Math.round((entries * 1000) / elapsedMs) : 0;
    const lagSeconds = committed === null ? null : Math.max(0, committed.t - writer.through.t);
    context.status('chain', { state, chain, ...stretch.told(), through: writer.through, committed, lagSeconds, node, entriesPerSecond, why, atMs: clock.now() });
    saidMs = clock.monotonicMs();
    entries = 0;
  };
  const archiveBatch = async (batch: OplogBatch): Promise<void> => {
    const barrier = await recordBarriers(oplog, chain, batch, context);
    if (barrier !== undefined) stretch.barrier(barrier);
    writer.append(batch);
    entries += batch.count;
    if (writer.pendingBytes >= sliceBytes) await flush();
  };
  // A member that dies takes its time to be left; what was read of it is not kept waiting for that.
  const timer = setInterval(() => {
    flush().catch((error: unknown) => context.log.warn('the archived oplog could not be flushed; it is tried again', { why: describe(error) }));
  }, input.flushSeconds * 1000);
  try {
    const events = followOplog({ address: input.target, after: writer.through, setId: input.archive.setId, rules: input.rules, signal: context.signal, log: context.log });
    for await (const event of events) {
      if (event.kind === 'batch') await archiveBatch(event.batch);
      else if (event.kind === 'caught-up' && input.untilCaughtUp === true) return 'stopped';
      else if (event.kind === 'switched') node = sayNode(event, context);
      else if (event.kind === 'broken') return reasons[event.reason];
      // A set that is written to without a pause is never caught up with.
      if (input.untilCaughtUp === true && event.kind === 'batch' && event.batch.last.t * 1000 >= begunMs) return 'stopped';
      if (clock.monotonicMs() - flushedMs >= input.flushSeconds * 1000) await flush();
      say(event.kind === 'waiting' ? 'waiting' : 'following', 'committed' in event ? event.committed : null, event.kind === 'waiting' ? event.why : null);
    }
    return 'stopped';
  } catch (error) {
    if (context.signal.aborted) return 'stopped';
    throw error;
  } finally {
    clearInterval(timer);
    await flush();
    saidMs = Number.NEGATIVE_INFINITY;
    say('following', null, null);
  }
}

function sayNode(event: Extract<TailEvent, { kind: 'switched' }>, context: TaskContext): string {
  context.say(event.from === null ? `reading from ${event.to}` : `switched from ${event.from} to ${event.to}: ${event.why}`);
  if (event.avoided !== null) context.say(`${event.to} is the primary, which is not allowed as a source; it is read because no other member has the oplog${event.avoided.length === 0 ? '' : `: ${event.avoided.join('; ')}`}`, 'warning');
  return event.to;
}

/** The last one, if there is any. */
async function recordBarriers(oplog: OplogArchive, chain: string, batch: OplogBatch, context: TaskContext): Promise<ClusterTime | undefined> {
  let last: ClusterTime | undefined;
  for (const entry of entriesOf(batch.bytes)) {
    if (entry.op !== 'c' && entry.ns !== 'admin.system.version' && 'iudn'.includes(entry.op)) continue;
    const barrier = barrierOf(entry);
    if (barrier === undefined) continue;
    await oplog.addBarrier(chain, entry.at, barrier);
    context.say(`barrier at ${showTime(entry.at)}: ${barrier}; moments behind it need a new base`, 'warning');
    context.status('barrier', { at: entry.at, what: barrier, chain });
    last = { t: entry.at.t, i: entry.at.i };
  }
  return last;
}
