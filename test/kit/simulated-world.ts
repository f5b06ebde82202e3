/** Sets, sessions and restore points as the scheduler of policies meets them, without databases: what must never be is written down. */
import type { PartRow, RunRow } from '../../src/catalog/policies.ts';
import { usualCopies, type Place, type SessionEnded } from '../../src/domain/policy-run.ts';
import { fewestPoints, planRetention, type KeptPoint, type RetentionRule } from '../../src/domain/retention.ts';
import type { Begun } from '../../src/server/policy-scheduler.ts';
import type { Chance } from './seeded.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;

type Session = { readonly id: string; readonly set: string; readonly place: Place; endsMs: number; state: SessionEnded | 'working'; outcome: SessionEnded };
type HeldPoint = { id: string; createdAtMs: number; ok: boolean; bound: string[] };

export type SimulatedWorld = ReturnType<typeof simulatedWorld>;

export function simulatedWorld({ chance, sets, violation }: { chance: Chance; sets: number; violation: (text: string) => void }) {
  const places = new Map<string, Place>(Array.from({ length: sets }, (_, at) => [`s${at}`, { host: `h${Math.floor(at / 1.5)}`, repository: `r${at % Math.max(1, Math.ceil(sets / 25))}` }]));
  const sessions = new Map<string, Session>();
  const working = new Map<string, Session>();
  const claims = new Map<string, string>();
  const points = new Map<string, HeldPoint[]>([...places.keys()].map((set) => [set, []]));
  const awayUntil = new Map<string, number>();
  const figures = { sessions: 0, points: 0, deleted: 0, failed: 0, stopped: 0 };
  let rulesOf: (set: string) => RetentionRule[] = () => [];

  const outcomeAt = (set: string, trueMs: number): SessionEnded => {
    if ((awayUntil.get(places.get(set)!.host) ?? 0) > trueMs) return 'failed';
    const lot = chance.below(100);
    return lot < 93 ? 'success' : lot < 96 ? 'warning' : 'failed';
  };

  /** As the session engine: a claim is begun once. */
  function begin(part: PartRow, run: RunRow, trueMs: number): Begun {
    const claim = `${run.id}/${part.set_id}/${part.attempt}`;
    const begun = claims.get(claim);
    if (begun !== undefined) return { kind: 'begun', session: begun };
    const place = places.get(part.set_id)!;
    const beside = [...working.values()];
    if (beside.some(({ set }) => set === part.set_id)) violation(`${part.set_id} is backed up twice at once, for run ${run.id}`);
    if (beside.filter((one) => one.place.host === place.host).length >= usualCopies.host) violation(`host ${place.host} has too many copies at a time`);
    if (beside.filter((one) => one.place.repository === place.repository).length >= usualCopies.repository) violation(`repository ${place.repository} has too many copies at a time`);
    if (beside.length >= usualCopies.server) violation('the server has too many copies at a time');
    const minutes = chance.below(30) === 0 ? 60 + chance.below(1200) : 1 + chance.below(60);
    const session: Session = { id: `x${figures.sessions++}`, set: part.set_id, place, endsMs: Math.ceil(trueMs / minuteMs + minutes) * minuteMs, state: 'working', outcome: outcomeAt(part.set_id, trueMs) };
    claims.set(claim, session.id);
    sessions.set(session.id, session);
    working.set(session.id, session);
    return { kind: 'begun', session: session.id };
  }

  function keepPoint(set: string, trueMs: number, nowMs: number): void {
    const held = points.get(set)!;
    held.push({ id: `p${figures.points++}`, createdAtMs: trueMs, ok: chance.below(50) !== 0, bound: [] });
    const rules = rulesOf(set);
    const { goes } = planRetention(held, rules, nowMs);
    for (const id of goes) judge(held.find((one) => one.id === id)!, held, rules, set, trueMs);
    figures.deleted += goes.length;
    if (goes.length > 0) points.set(set, held.filter(({ id }) => !goes.includes(id)));
  }

  /** By the true time and in the plainest words: whether this one may go. */
  function judge(point: KeptPoint, held: readonly HeldPoint[], rules: readonly RetentionRule[], set: string, trueMs: number): void {
    const newer = held.filter((one) => one.ok && one.createdAtMs > point.createdAtMs).length;
    if (newer < fewestPoints) violation(`${set}: a point of the newest ${fewestPoints} was deleted`);
    if (point.bound.length > 0) violation(`${set}: a held point was deleted`);
    if (rules.length === 0) violation(`${set}: a point was deleted without a rule`);
    for (const { retention: { keep }, name } of rules) {
      if (keep.kind === 'days' ? trueMs - point.createdAtMs < keep.days * dayMs : newer < keep.points) violation(`${set}: a point was deleted that policy ${name} keeps`);
    }
  }

  return {
    places,
    points,
    awayUntil,
    figures,
    begin,
    begunFor: ({ run, set_id, attempt }: PartRow): string | undefined => claims.get(`${run}/${set_id}/${attempt}`),
    setRules: (of: (set: string) => RetentionRule[]): void => void (rulesOf = of),
    running: (): string[] => [...working.values()].map(({ set }) => set),
    nextEndMs: (): number => Math.min(Infinity, ...[...working.values()].map(({ endsMs }) => endsMs)),
    /** Ends what ends by then. */
    pass(trueMs: number, nowMs: number): void {
      for (const session of working.values()) {
        if (session.endsMs > trueMs) continue;
        session.state = session.outcome;
        working.delete(session.id);
        if (session.state === 'success' || session.state === 'warning') keepPoint(session.set, trueMs, nowMs);
        else figures[session.state]++;
      }
    },
    ended(id: string): { state: SessionEnded; says: null } | undefined {
      const { state } = sessions.get(id)!;
      return state === 'working' ? undefined : { state, says: null };
    },
    stop(id: string, trueMs: number): void {
      const session = working.get(id);
      if (session === undefined || session.outcome === 'stopped') return;
      session.endsMs = Math.min(session.endsMs, trueMs + minuteMs);
      session.outcome = 'stopped';
    },
    /** A run has ended: its parts have to say what their sessions say, and these are forgotten. */
    forget(run: RunRow, parts: readonly PartRow[]): void {
      for (const part of parts) {
        const last = part.session === null ? undefined : sessions.get(part.session);
        const isGood = part.state === 'success' || part.state === 'warning';
        if (isGood && part.state !== last?.state) violation(`run ${run.id} says ${part.state} of ${part.set_id}, whose session says ${last?.state}`);
        for (let attempt = 0; attempt <= part.attempt; attempt++) {
          const claim = `${run.id}/${part.set_id}/${attempt}`;
          const session = claims.get(claim) ?? '';
          if (sessions.get(session)?.state === 'working') violation(`run ${run.id} ended while session ${session} works`);
          sessions.delete(session);
          claims.delete(claim);
        }
      }
      if (run.state === 'success' && parts.some(({ state }) => state !== 'success')) violation(`run ${run.id} is called a success and is none`);
    },
  };
}
