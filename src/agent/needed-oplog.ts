/** What of an archive's oplog is needed, from what the repository holds now (docs/design/oplog-retention.md). */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { isNeeded, neededOplog, type NeededOplog, type OplogRule } from '../domain/oplog-retention.ts';
import type { Archive } from '../repository/archive.ts';
import type { IsNeeded } from '../repository/oplog-trim.ts';
import { verdictOn } from './point-about.ts';
import { chainFor, surveyChains } from './chain-spans.ts';

export type OplogWish = {
  readonly rule: OplogRule | null;
  /** What time it is at the latest: this host's clock may have leapt ahead. */
  readonly nowMs: number;
  /** Points that sessions work with. */
  readonly busy: readonly string[];
  /** Points that are about to go. */
  readonly without: readonly string[];
  /** Everything behind it is needed too; null: nobody asks for more. */
  readonly keepFrom: ClusterTime | null;
};

/** `says`: why everything is needed. */
export async function neededIn(archive: Archive, { rule, nowMs, busy, without, keepFrom }: OplogWish, clockMs: number): Promise<{ isNeeded: IsNeeded; says: string | null }> {
  const all = (says: string): { isNeeded: IsNeeded; says: string } => ({ isNeeded: () => true, says });
  if (rule === null) return all('no rule says how long the oplog is kept');
  const { points, hurt } = await archive.survey();
  if (hurt.length > 0) return all(`nobody knows what restore point ${hurt[0]!.point} needs: its manifest is damaged`);
  const staying = points.filter(({ id }) => !without.includes(id));
  if (staying.length === 0) return all('there is no restore point');
  const { spans, damaged } = await surveyChains(archive);
  if (damaged.length > 0) return all(`something of the oplog is damaged: ${damaged[0]!.object}`);
  const users = await Promise.all(
    staying.map(async ({ id, checkpoint, top }) => ({ checkpoint, top, ok: verdictOn((await archive.proofs(id)).proofs)?.ok ?? null, isUsable: chainFor(spans, checkpoint, checkpoint) !== undefined, isBusy: busy.includes(id) })),
  );
  const newest = spans.map(({ through }) => through).sort(compareTimes).at(-1) ?? { t: 0, i: 0 };
  const needed: NeededOplog[] = [...neededOplog(users, rule, newest, Math.min(nowMs, clockMs)), ...(keepFrom === null ? [] : [{ after: keepFrom, through: null }])];
  return { isNeeded: (after, through) => isNeeded(needed, after, through), says: null };
}
