/** Restore points as the catalog remembers them. */
import type { Catalog } from '../catalog/catalog.ts';
import { isHurt, isLost, type PointRow } from '../catalog/points.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Point } from '../contract/routes/points.ts';
import { timesOfBoth, verdictOf, verdictOfBoth } from '../domain/verdict.ts';
import { unproved } from '../domain/restore-choice.ts';
import { pointSummary, type PointSummary, type Window } from '../contract/values.ts';
import type { Archives } from './archives.ts';
import { pointUnknown } from './failures.ts';

export type Proof = NonNullable<PointSummary['proof']>;
export type Points = ReturnType<typeof openPoints>;

/** For a plan: a point nobody has opened may be as bad as one that failed. */
export function unprovedWarning(row: PointRow, points: Pick<Points, 'summary'>): string[] {
  return points.summary(row).proof === null ? [unproved(row.id)] : [];
}

export function openPoints(options: { catalog: Catalog; archives: Archives }) {
  const { catalog, archives } = options;
  const summary = (row: Pick<PointRow, 'summary'>): PointSummary => pointSummary.parse(JSON.parse(row.summary));
  const rowOf = (repository: string, point: PointSummary) => ({ id: point.id, set_id: point.setId, repository, created_ms: point.createdAtMs, summary: JSON.stringify(point), lost: 0 });

  async function find(id: string): Promise<PointRow> {
    const row = await catalog.points.find(id);
    if (row === undefined) throw pointUnknown({ point: id });
    return row;
  }

  /** Proofs are never taken back, only followed by others. */
  function withProofsOf(known: string, given: string): string {
    const [before, now] = [summary({ summary: known }), summary({ summary: given })];
    if (before.proof === null) return given;
    return JSON.stringify({ ...now, proof: verdictOfBoth(before, now), proofsAtMs: timesOfBoth(before, now) });
  }

  return {
    find,
    summary,
    /** Whether this is where the set's oplog goes now. */
    isFollowedInto: async (at: { readonly id: string; readonly repository: string }): Promise<boolean> => (await catalog.sets.find(at.id))?.repository === at.repository,
    /** The point itself, or its copy where that is what the repository has. */
    async findIn(repository: string, point: string): Promise<PointRow> {
      const row = (await catalog.points.list()).find((one) => one.repository === repository && (one.id === point || summary(one).copiedFrom?.point === point));
      if (row === undefined) throw pointUnknown({ point: `${point} in ${(await archives.find(repository)).name}` });
      return row;
    },
    /** Of a set's points in one repository those that are there and that were opened, oldest first. */
    good: (rows: readonly PointRow[], place: string): PointSummary[] => rows.filter(({ lost, repository }) => lost === 0 && repository === place).map(summary).filter(({ proof }) => proof?.ok === true),
    /** The newest of a set's points in one repository, if nobody has opened it. */
    newestUnproved(rows: readonly PointRow[], place: string): PointSummary | null {
      const newest = rows.filter(({ lost, repository }) => lost === 0 && repository === place).map(summary).reduce<PointSummary | null>((last, point) => (last === null || point.createdAtMs >= last.createdAtMs ? point : last), null);
      return newest?.proof === null ? newest : null;
    },
    list: async (setId?: string): Promise<PointRow[]> => await catalog.points.list(setId),
    add: async (repository: string, point: PointSummary): Promise<void> => await catalog.points.add(rowOf(repository, point)),
    async setProof(id: string, proof: Proof): Promise<void> {
      const isThere = await catalog.points.changeSummary(id, (kept) => {
        const known = summary({ summary: kept });
        return JSON.stringify({ ...known, proof: verdictOf([...(known.proof === null ? [] : [known.proof]), proof]), proofsAtMs: [...(known.proofsAtMs ?? (known.proof === null ? [] : [known.proof.atMs])), proof.atMs] });
      });
      if (!isThere) throw pointUnknown({ point: id });
    },
    /** Takes over what the repository said. It may have been asked before a proof was recorded there that is known here. */
    async mirror(set: Pick<SetRow, 'id' | 'repository'>, window: Window): Promise<void> {
      await catalog.points.mirror(set.repository, set.id, window.points.map((point) => rowOf(set.repository, point)), new Set(window.damaged.flatMap(({ point }) => point ?? [])), withProofsOf);
    },
    async view(row: PointRow): Promise<Point> {
      const hold = row.hold_since_ms === null ? null : { sinceMs: row.hold_since_ms, reason: row.hold_reason ?? '' };
      return { ...summary(row), repository: (await archives.find(row.repository)).name, hold, lost: row.lost === isLost, hurt: row.lost === isHurt };
    },
  };
}
