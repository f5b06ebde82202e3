/** Reports, made from the catalog alone: no host is asked, so they come while everything else is down. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { SessionRow } from '../../catalog/sessions.ts';
import type { SetRow } from '../../catalog/sets.ts';
import type { VerificationRow } from '../../catalog/verifications.ts';
import type { Clock } from '../../base/clock.ts';
import type { Report, SetStanding } from '../../contract/reports.ts';
import { verificationOutcome } from '../../contract/checks.ts';
import { sessionProgress } from '../../contract/sessions.ts';
import { wireFailure } from '../../contract/values.ts';
import { judgeProtection } from '../../domain/protection.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { Points, Proof } from '../points.ts';
import type { KnownOfSet, SetReading } from './set-reading.ts';

export type Reports = ReturnType<typeof openReports>;

const mostSessions = 500;
const slowMs = 500;
const slowAgain = 10;

type Options = { catalog: Catalog; points: Points; standings: OplogStandings; clock: Clock; server: () => string; reading: SetReading };

export function openReports({ catalog, points, standings, clock, server, reading }: Options) {
  async function standingOf(set: SetRow, fromMs: number, { promised, rows, alarms, verifications }: KnownOfSet): Promise<SetStanding> {
    const there = rows.filter(({ lost, repository }) => lost === 0 && repository === set.repository).map(points.summary);
    const good = points.good(rows, set.repository);
    const oplog = await standings.view(set.id, good);
    const open = alarms.filter(({ is_settled }) => is_settled === 0);
    const newest = good.at(-1);
    const before = good.filter(({ createdAtMs }) => createdAtMs < fromMs).at(-1);
    const proofs = good.flatMap(({ proof }) => proof ?? []).sort((a, b) => a.atMs - b.atMs);
    const nowMs = clock.now();
    const judged = judgeProtection({ lastPointMs: newest?.createdAtMs ?? null, newestIsBad: there.at(-1)?.proof?.ok === false, unproved: there.slice(there.findLastIndex(({ id }) => id === newest?.id) + 1).filter(({ proof: made }) => made === null).length, isArchived: oplog.through !== null, lossSeconds: oplog.lossIfDisasterNowSeconds, outOfReach: oplog.needsBase ? { afterMs: oplog.restorableTo === null ? null : oplog.restorableTo.t * 1000, alarm: open[0]?.what ?? null } : null, oplogState: oplog.state }, promised, nowMs);
    const first = good[0];
    const proof = proofs.at(-1);
    return {
      set: set.name,
      isProtected: judged.isProtected,
      reasons: [...judged.reasons],
      lastPointAtMs: newest?.createdAtMs ?? null,
      lastPointAgeSeconds: newest === undefined ? null : Math.max(0, Math.round((nowMs - newest.createdAtMs) / 1000)),
      promisedPointHours: promised.pointHours,
      lossIfDisasterNowSeconds: oplog.lossIfDisasterNowSeconds,
      promisedLossSeconds: promised.lossSeconds,
      window: first === undefined || newest === undefined ? null : { fromMs: first.checkpoint.t * 1000, toMs: (oplog.restorableTo ?? newest.top).t * 1000 },
      points: good.length,
      bytes: newest?.bytes.processed ?? null,
      grownBytes: newest === undefined || before === undefined ? null : newest.bytes.processed - before.bytes.processed,
      storedBytes: there.filter(({ createdAtMs }) => createdAtMs >= fromMs).reduce((sum, { bytes }) => sum + bytes.stored, 0),
      verified: proof === undefined ? null : { atMs: proof.atMs, level: proof.level },
      fullyVerified: lastFull(verifications, there.flatMap(({ proof: found }) => (found?.level === 'full' ? [found] : []))),
      alarmsOpen: open.length,
      oplogState: oplog.state,
    };
  }

  /** By a policy, or by hand on a point: the later of both. */
  function lastFull(verifications: readonly VerificationRow[], onPoints: readonly Proof[]): SetStanding['fullyVerified'] {
    const kept = verifications.flatMap(({ outcome }) => (outcome === null ? [] : [verificationOutcome.parse(JSON.parse(outcome))]));
    const last = [...kept, ...onPoints].sort((a, b) => a.atMs - b.atMs).at(-1);
    if (last === undefined) return null;
    const { atMs, ok, says, checks = [] } = last;
    return { atMs, ok, says, checks: checks.length, failed: checks.filter((check) => !check.ok).map(({ name }) => name) };
  }

  async function* each(fromMs: number): AsyncGenerator<{ readonly id: string; readonly standing: SetStanding }> {
    for await (const { set, known } of reading.all()) yield { id: set.id, standing: await standingOf(set, fromMs, known) };
  }

  async function all(fromMs: number): Promise<SetStanding[]> {
    const list: SetStanding[] = [];
    for await (const { standing } of each(fromMs)) list.push(standing);
    return list;
  }

  const standing = async (set: SetRow, fromMs: number): Promise<SetStanding> => await standingOf(set, fromMs, await reading.one(set.id));

  let recent: { readonly sets: Promise<SetStanding[]>; readonly untilMs: number } | undefined;

  return {
    standing,
    each,
    all,
    /** As they stand now. Where that takes more than half a second to find out, for at most ten times as long the same answer is given. */
    async recent(): Promise<SetStanding[]> {
      if (recent !== undefined && clock.monotonicMs() < recent.untilMs) return await recent.sets;
      const fromMs = clock.monotonicMs();
      const asked = { sets: all(0), untilMs: Infinity };
      recent = asked;
      try {
        const sets = await asked.sets;
        const tookMs = clock.monotonicMs() - fromMs;
        asked.untilMs = tookMs > slowMs ? clock.monotonicMs() + slowAgain * tookMs : 0;
        return sets;
      } catch (error) {
        asked.untilMs = 0;
        throw error;
      }
    },
    async daily(fromMs: number, toMs: number): Promise<Report> {
      const ended = await catalog.sessions.endedBetween(fromMs, toMs, mostSessions + 1);
      return { kind: 'daily', server: server(), fromMs, toMs, sets: await all(fromMs), sessions: ended.slice(0, mostSessions).map(viewReported).reverse(), isCut: ended.length > mostSessions, steps: [], bytes: null };
    },
    async ofSession(row: SessionRow): Promise<Report> {
      const set = row.set_id === null ? undefined : await catalog.sets.find(row.set_id);
      const said = await catalog.sessions.steps(row.id);
      const steps = said.map(({ at_ms, event }, n) => {
        const endedMs = said[n + 1]?.at_ms ?? row.ended_ms;
        return { name: (JSON.parse(event) as { step: string }).step, seconds: endedMs === null ? null : Math.max(0, (endedMs - at_ms) / 1000) };
      });
      const progress = row.progress === null ? null : sessionProgress.parse(JSON.parse(row.progress));
      const fromMs = row.started_ms ?? row.created_ms;
      return { kind: 'session', server: server(), fromMs, toMs: row.ended_ms ?? clock.now(), sets: set === undefined ? [] : [await standing(set, fromMs)], sessions: [viewReported(row)], isCut: false, steps, bytes: progress === null ? null : { processed: progress.processed, read: progress.read, stored: progress.stored } };
    },
  };
}

function viewReported(row: SessionRow): Report['sessions'][number] {
  const failed = row.failure === null ? null : wireFailure.parse(JSON.parse(row.failure));
  return { id: row.id, kind: row.kind, isPlan: row.is_plan === 1, object: row.object_name, state: row.state, startedAtMs: row.started_ms, endedAtMs: row.ended_ms, warnings: row.warnings, failure: failed === null ? null : { code: failed.code, message: failed.message, hint: failed.hint } };
}
