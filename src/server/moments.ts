/**
 * From what an operator wrote to a restore point and a moment, with every refusal made here, before a session begins.
 *
 * The archive is seconds behind the set, and a restore often follows at once on what went wrong: a moment of these seconds is
 * waited for while the set's oplog is followed, with a deadline, and the session says so.
 */
import type { Clock } from '../base/clock.ts';
import { type ClusterTime, compareTimes, sayTime } from '../base/cluster-time.ts';
import { until } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import type { Window } from '../contract/values.ts';
import { momentUnreachable } from '../domain/failures.ts';
import { endOf, parseMoment } from '../domain/moment.ts';
import { chooseAt, chooseRestore, mayStillCome, type Choice, type WindowFacts } from '../domain/restore-choice.ts';
import type { Archives } from './archives.ts';
import { pointUnknown } from './failures.ts';
import type { Links } from './links.ts';
import type { OplogStandings } from './oplog-standings.ts';
import type { Points } from './points.ts';

export type ChosenMoment = { readonly point: string; readonly at: ClusterTime };
/** `says`: how long the archive was waited for; null when it was not. */
export type AwaitedMoment = ChosenMoment & { readonly says: string | null };
export type Moments = ReturnType<typeof openMoments>;

/** What is written now is archived within two flushes; the last second of an idle set is over with its next sign of life, 10 s later. */
const usualWaitMs = 30_000;
/** The set's clock may be ahead of this machine's. */
const aheadSeconds = 10;

/** A set's archive in one repository; the oplog is followed into the one that is its own. */
export type MomentSource = { readonly id: string; readonly repository: string };

type Options = { links: Links; archives: Archives; points: Points; standings: OplogStandings; clock: Clock; waitMs?: number };

export function openMoments(options: Options) {
  const { links, archives, points, standings, clock, waitMs = usualWaitMs } = options;

  /** What the repository holds right now, and the catalog's memory of it with it. */
  async function window(set: MomentSource): Promise<Window> {
    const { host } = await archives.find(set.repository);
    const found = await links.of(host).ask('archive.window', { archive: await archives.access(set.repository, set.id) });
    await points.mirror(set, found);
    return found;
  }

  /** `choose` again when the archive has come as far, if it is to be expected that it does. */
  async function awaited(set: MomentSource, found: Window, choose: (facts: WindowFacts) => Choice): Promise<AwaitedMoment> {
    const first = choose(factsOf(found));
    const isSoon = (await points.isFollowedInto(set)) && mayStillCome(factsOf(found), first) && first.at.t <= clock.now() / 1000 + aheadSeconds && (await standings.now(set.id)).state === 'following';
    if (!isSoon) return { ...demand(first), says: null };
    const begunMs = clock.monotonicMs();
    await until('the archive', waitMs, async () => {
      const { state, through } = await standings.now(set.id);
      return state !== 'following' || (through !== null && compareTimes(through, first.at) >= 0) ? true : undefined;
    }, { everyMs: 100, clock }).catch((error: unknown) => {
      if (!isFailure(error, deadlinePassed)) throw error;
    });
    const seconds = ((clock.monotonicMs() - begunMs) / 1000).toFixed(1);
    const choice = choose(factsOf(await window(set)));
    if (choice.kind === 'refused') throw momentUnreachable({ at: choice.at, lastSafe: choice.lastSafe, why: `${choice.why}, after ${seconds} s of waiting for more` });
    return { ...demand(choice), says: `waited ${seconds} s until the archive held ${sayTime(choice.at)}` };
  }

  return {
    window,
    async choose(set: MomentSource, text: string): Promise<AwaitedMoment> {
      const found = await window(set);
      const wanted = parseMoment(text, idsOf(found));
      return await awaited(set, found, (facts) => chooseRestore(facts, wanted));
    },
    /** The moment of one given point; null stands for the point's own. */
    async chooseOn(set: MomentSource, point: string, text: string | null): Promise<{ at: ClusterTime | null; says: string | null }> {
      if (text === null) return { at: null, says: null };
      const found = await window(set);
      const facts = factsOf(found);
      const wanted = parseMoment(text, idsOf(found));
      const base = facts.points.find(({ id }) => id === point);
      if (base === undefined) throw pointUnknown({ point });
      const at = wanted.kind === 'time' || wanted.kind === 'second' ? endOf(wanted) : demand(chooseRestore(facts, wanted)).at;
      return await awaited(set, found, (now) => chooseAt(now, base, at));
    },
    /** A border in time, wherever it lies: for searches. A second named as either border is searched. */
    async border(set: MomentSource, edge: 'since' | 'until', text: string | null): Promise<ClusterTime | null> {
      if (text === null || text.trim() === 'latest') return null;
      const known = await points.list(set.id);
      const wanted = parseMoment(text, new Set(known.map(({ id }) => id)));
      if (wanted.kind === 'second' && edge === 'since') return { t: wanted.t, i: 0 };
      if (wanted.kind === 'time' || wanted.kind === 'second') return endOf(wanted);
      const point = known.find(({ id }) => wanted.kind === 'point' && id === wanted.point);
      if (point === undefined) return null;
      const { t, i } = points.summary(point).top;
      return { t, i };
    },
  };
}

export function factsOf(window: Window): WindowFacts {
  return {
    points: window.points.map(({ id, checkpoint, top, createdAtMs, chain, proof }) => ({ id, checkpoint, top, createdAtMs, chain, proved: proof?.ok ?? null })),
    spans: window.spans,
    barriers: window.barriers,
  };
}

function idsOf(window: Window): Set<string> {
  return new Set(window.points.map(({ id }) => id));
}

function demand(choice: Choice): ChosenMoment {
  if (choice.kind === 'point') return { point: choice.point, at: choice.at };
  const { at, why, lastSafe } = choice;
  throw momentUnreachable({ at, why, lastSafe });
}
