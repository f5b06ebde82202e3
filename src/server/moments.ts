/** From what an operator wrote to a restore point and a moment, with every refusal made here, before a session begins. */
import type { ClusterTime } from '../base/cluster-time.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Window } from '../contract/values.ts';
import { momentUnreachable } from '../domain/failures.ts';
import { endOf, parseMoment } from '../domain/moment.ts';
import { chooseAt, chooseRestore, type Choice, type WindowFacts } from '../domain/restore-choice.ts';
import type { Archives } from './archives.ts';
import { pointUnknown } from './failures.ts';
import type { Points } from './points.ts';
import type { Links } from './links.ts';

export type ChosenMoment = { readonly point: string; readonly at: ClusterTime };
export type Moments = ReturnType<typeof openMoments>;

export function openMoments(options: { links: Links; archives: Archives; points: Points }) {
  const { links, archives, points } = options;

  /** What the repository holds right now, and the catalog's memory of it with it. */
  async function window(set: Pick<SetRow, 'id' | 'repository'>): Promise<Window> {
    const { host } = await archives.find(set.repository);
    const found = await links.of(host).call('archive.window', { archive: await archives.access(set.repository, set.id) });
    await points.mirror(set, found);
    return found;
  }

  return {
    window,
    async choose(set: SetRow, text: string): Promise<ChosenMoment> {
      const found = await window(set);
      return demand(chooseRestore(factsOf(found), parseMoment(text, idsOf(found))));
    },
    /** The moment of one given point; null stands for the point's own. */
    async chooseOn(set: Pick<SetRow, 'id' | 'repository'>, point: string, text: string | null): Promise<{ at: ClusterTime | null }> {
      if (text === null) return { at: null };
      const found = await window(set);
      const facts = factsOf(found);
      const wanted = parseMoment(text, idsOf(found));
      const base = facts.points.find(({ id }) => id === point);
      if (base === undefined) throw pointUnknown({ point });
      if (wanted.kind === 'time' || wanted.kind === 'second') return demand(chooseAt(facts, base, endOf(wanted)));
      const choice = demand(chooseRestore(facts, wanted));
      return demand(chooseAt(facts, base, choice.at));
    },
    /** A border in time, wherever it lies: for searches. A second named as either border is searched. */
    async border(set: SetRow, edge: 'since' | 'until', text: string | null): Promise<ClusterTime | null> {
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
    points: window.points.map(({ id, checkpoint, top, createdAtMs, proof }) => ({ id, checkpoint, top, createdAtMs, proved: proof?.ok ?? null })),
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
