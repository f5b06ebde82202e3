/**
 * Following a set's oplog from where an archive ends, over elections, restarts and deaths of members.
 *
 *   looking ── a member proves that it continues the archive ──▶ reading ── batch*, caught-up (each idle second) ──┐
 *     ▲  │                                                          │ it died, stepped to a bad state, lags        │
 *     │  └─ nobody suits: waiting, ask again                        ▼                                             │
 *     └───────────────────────────────────────────────────────── leaving ◀────────────────────────────────────────┘
 *   looking ── nobody has the last archived entry any more ──▶ broken (the end: a new chain is the caller's to start)
 *
 * Broken means, in this order of certainty:
 *   rollback      a member's majority holds another entry at that time, or none between others: the set disowned what was
 *                 archived (forced reconfiguration, restore in place, majority lost)
 *   rolled-over   every data member has overwritten it; or those that answered for ten minutes, while others were silent
 * A change of term is not a break: elections are part of one history.
 */
import { compareTimes, type Optime } from '../base/cluster-time.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { silentLog, type Log } from '../base/log.ts';
import { toMember, type MongoAddress } from './connect.ts';
import { batchOf } from './oplog-entry.ts';
import type { OplogBatch } from './oplog-batch.ts';
import { anyNode, isPrimaryAvoided, orderForOplog, whyLeave, type OplogRules } from './oplog-node.ts';
import { openOplogSource, type NodeState, type Opened, type OplogSource } from './oplog-source.ts';
import { discoverAny, type SetMember, type SetView } from './topology.ts';

export { chooseChainStart } from './chain-start.ts';

export type TailEvent =
  | { readonly kind: 'switched'; readonly from: string | null; readonly to: string; readonly why: string; /** It is the primary, which is not allowed, and why each of the others is not read. */ readonly avoided: readonly string[] | null }
  | { readonly kind: 'batch'; readonly batch: OplogBatch; readonly node: string }
  /** All that a majority has was read. At least once a second while nothing is written. */
  | { readonly kind: 'caught-up'; readonly committed: Optime; readonly node: string }
  /** About once a second while there is more to read: how far the majority is. */
  | { readonly kind: 'behind'; readonly committed: Optime; readonly seconds: number; readonly node: string }
  /** Nobody can be read at the moment; asked again until somebody can. */
  | { readonly kind: 'waiting'; readonly why: string }
  | { readonly kind: 'broken'; readonly reason: BreakReason; readonly lastArchived: Optime; readonly resumesAt: Optime | null; readonly node: string };

export type BreakReason = 'rollback' | 'rolled-over';

export type TailOptions = {
  readonly address: MongoAddress;
  /** The last archived entry: reading continues right behind it. */
  readonly after: Optime;
  /** The set that the archive belongs to; another one at the same address is never read. */
  readonly setId?: string;
  readonly rules?: OplogRules;
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly clock?: Clock;
};

const AWAIT_MS = 1_000;
const SURVEY_MS = 5_000;
const STATE_MS = 1_000;
const RETRY_MS = 500;
/** How long members that do not answer are hoped for before an entry that the others have overwritten is given up. */
const HOPE_MS = 600_000;

/** Ends after `broken`, or quietly when the signal is aborted. */
export async function* followOplog(options: TailOptions): AsyncGenerator<TailEvent, void, void> {
  const { signal, clock = systemClock, log = silentLog } = options;
  let last = options.after;
  let node: string | null = null;
  let why = 'the start';
  let address = options.address;
  let lookingMs = clock.monotonicMs();
  while (!isAborted(signal)) {
    const found = await look({ ...options, address }, last, clock.monotonicMs() - lookingMs);
    if (found.kind === 'broken') return yield { kind: 'broken', ...found.broken, lastArchived: last };
    if (found.kind === 'none') {
      yield { kind: 'waiting', why: found.why };
      await clock.wait(RETRY_MS, signal).catch(() => {});
      continue;
    }
    const { source } = found;
    const stop = (): void => void source.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      address = withMembers(options.address, found.set);
      const from: string | null = node;
      const to: string = source.member.name;
      node = to;
      if (from !== to) yield { kind: 'switched', from, to, why, avoided: found.avoided };
      for await (const event of read(source, last, clock, options.rules)) {
        if (event.kind === 'batch') last = event.batch.last;
        yield event;
        // The caller may have stopped it while it held the event, before a listener was there to hear it.
        if (isAborted(signal)) return;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      why = error instanceof Leave ? error.message : describe(error);
      log.warn('leaving a member whose oplog was read', { member: node, why });
    } finally {
      signal?.removeEventListener('abort', stop);
      await source.close();
      lookingMs = clock.monotonicMs();
    }
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Not a failure: the member answers, but another one should be read. */
class Leave extends Error {}

/** Throws when the member has to be left, or its source was closed. */
async function* read(source: OplogSource, start: Optime, clock: Clock, rules?: OplogRules): AsyncGenerator<TailEvent, void, void> {
  const node = source.member.name;
  let last = start;
  let statedMs = Number.NEGATIVE_INFINITY;
  const startedMs = clock.monotonicMs();
  let surveyedMs = startedMs;
  // The next entries travel while the caller stores these.
  let coming = ask(source);
  for (;;) {
    const documents = await coming;
    if (documents.length > 0) {
      coming = ask(source);
      const batch = batchOf(documents);
      last = batch.last;
      yield { kind: 'batch', batch, node };
    }
    if (documents.length === 0 || clock.monotonicMs() - statedMs >= STATE_MS) {
      statedMs = clock.monotonicMs();
      yield told(await source.state(), last, node);
    }
    if (clock.monotonicMs() - surveyedMs >= SURVEY_MS) {
      surveyedMs = clock.monotonicMs();
      const leave = whyLeave((await source.survey()).members, node, surveyedMs - startedMs, rules);
      if (leave !== undefined) throw new Leave(leave);
    }
    if (documents.length === 0) coming = ask(source);
  }
}

function ask(source: OplogSource): Promise<readonly Uint8Array[]> {
  const coming = source.next(AWAIT_MS);
  // It is awaited later; until then a failure of it is nobody's unhandled rejection.
  coming.catch(() => {});
  return coming;
}

function told(state: NodeState, last: Optime, node: string): TailEvent {
  if (!state.readable) throw new Leave('it is neither primary nor secondary');
  const committed = state.committed ?? last;
  if (compareTimes(last, committed) >= 0) return { kind: 'caught-up', committed: last, node };
  return { kind: 'behind', committed, seconds: committed.t - last.t, node };
}

type Looked =
  | { readonly kind: 'proved'; readonly source: OplogSource; readonly set: SetView; readonly avoided: readonly string[] | null }
  | { readonly kind: 'broken'; readonly broken: { reason: BreakReason; resumesAt: Optime | null; node: string } }
  | { readonly kind: 'none'; readonly why: string };

/** Asks members in the order of the rules until one proves that it continues the archive. */
async function look(options: TailOptions, last: Optime, lookingMs: number): Promise<Looked> {
  let set: SetView;
  try {
    set = await discoverAny(options.address);
  } catch (error) {
    return { kind: 'none', why: describe(error) };
  }
  if (options.setId !== undefined && set.setId !== options.setId) return { kind: 'none', why: `another replica set (${set.setId}) answers there` };
  const verdicts: { member: SetMember; opened: Opened }[] = [];
  const { rules = anyNode } = options;
  for (const member of orderForOplog(set.members, rules)) {
    if (isAborted(options.signal)) break;
    const opened = await openOplogSource(toMember(options.address, member), member, last).catch((error: unknown): Opened => ({ kind: 'unreadable', why: describe(error) }));
    if (opened.kind === 'proved') {
      const isAvoided = member.state === 'primary' && isPrimaryAvoided(set.members, rules);
      return { kind: 'proved', source: opened.source, set, avoided: isAvoided ? verdicts.map(({ member: other, opened: answer }) => `${other.name} ${sayOf(answer)}`) : null };
    }
    verdicts.push({ member, opened });
  }
  const broken = breakOf(verdicts, set, last, lookingMs);
  if (broken !== undefined) return { kind: 'broken', broken };
  return { kind: 'none', why: verdicts.length === 0 ? 'no member is primary or secondary' : verdicts.map(({ member, opened }) => `${member.name} ${sayOf(opened)}`).join('; ') };
}

function sayOf(opened: Opened): string {
  if (opened.kind === 'unreadable') return opened.why;
  return opened.kind === 'behind' ? 'has not got as far as the archive' : `is ${opened.kind}`;
}

type Verdicts = readonly { readonly member: SetMember; readonly opened: Opened }[];

/** What the members' answers mean together, when none continues the archive; undefined: ask again later. */
export function breakOf(verdicts: Verdicts, set: Pick<SetView, 'members'>, last: Optime, lookingMs: number): { reason: BreakReason; resumesAt: Optime | null; node: string } | undefined {
  const other = verdicts.find(({ opened }) => opened.kind === 'other-history');
  if (other?.opened.kind === 'other-history') return { reason: 'rollback', resumesAt: other.opened.resumesAt, node: other.member.name };
  const behind = verdicts.filter(({ opened }) => opened.kind === 'behind');
  const data = set.members.filter((member) => member.state !== 'arbiter' && member.delaySeconds === 0);
  const rolled = verdicts.filter(({ opened }) => opened.kind === 'rolled-over');
  const [first] = rolled;
  // One that joined yesterday has no older entries either: the others may be about to answer.
  const isCertain = rolled.length === data.length || (behind.length === 0 && lookingMs >= HOPE_MS);
  if (first?.opened.kind === 'rolled-over' && isCertain) return { reason: 'rolled-over', resumesAt: first.opened.resumesAt, node: first.member.name };
  // A primary has all that a majority ever had. Unless it is one that does not know yet that it was replaced: such a one
  // has an older term than the archive, or some member that could know better does not answer.
  const primary = behind.find(({ opened }) => opened.kind === 'behind' && opened.state.primary && lacks(opened.state, last));
  if (primary?.opened.kind !== 'behind') return undefined;
  const allAgree = behind.length === data.length && behind.every(({ opened }) => opened.kind === 'behind' && lacks(opened.state, last));
  if (primary.opened.state.term < last.term && !allAgree) return undefined;
  return { reason: 'rollback', resumesAt: null, node: primary.member.name };
}

function lacks(state: NodeState, last: Optime): boolean {
  return state.applied !== null && compareTimes(state.applied, last) < 0;
}

/** Members that joined later are asked too when those first named are gone. */
function withMembers(address: MongoAddress, set: SetView): MongoAddress {
  if ('socket' in address) return address;
  const known = new Set(address.hosts.map(({ host, port }) => `${host}:${port}`));
  const more = set.members.filter((member) => member.state !== 'arbiter' && !known.has(`${member.host}:${member.port}`));
  return { ...address, hosts: [...address.hosts, ...more.map(({ host, port }) => ({ host, port }))] };
}
