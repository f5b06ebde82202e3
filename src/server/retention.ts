/** Which points of which sets go, by the rules that are there now (docs/design/retention.md), and the sessions that see to it. */
import type { Catalog } from '../catalog/catalog.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { PointRow } from '../catalog/points.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { retention as retentionShape, type Retention as StoredRetention } from '../contract/policies.ts';
import { widestRule, type OplogRule } from '../domain/oplog-retention.ts';
import { planRetention, type RetentionPlan, type RetentionRule } from '../domain/retention.ts';
import type { Archives } from './archives.ts';
import type { OplogTending } from './oplog-tending.ts';
import type { Believed } from './believed-time.ts';
import type { Points } from './points.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';
import { policiesOf } from './policy-objects.ts';

export type Retention = ReturnType<typeof openRetention>;
/** A set whose points a rule is about, protected or not, and where they are. */
export type RetentionSet = { readonly id: string; readonly name: string; readonly repository: string };

type Options = { catalog: Catalog; archives: Archives; points: Points; tending: Pick<OplogTending, 'isDue'>; clock: Clock; believed: Believed; log: Log };

export function openRetention({ catalog, archives, points, tending, clock, believed, log }: Options, engine: () => SessionEngine) {
  async function rulesOf(setId: string): Promise<(RetentionRule & { readonly retention: StoredRetention })[]> {
    const rules: (RetentionRule & { readonly retention: StoredRetention })[] = [];
    for (const { row, document: { timeZone, retention } } of await policiesOf(setId, catalog)) rules.push({ name: row.name, timeZone, retention });
    for (const orphan of await catalog.policies.orphans(setId)) rules.push({ name: `former policy ${orphan.policy_name}`, timeZone: orphan.time_zone, retention: retentionShape.parse(JSON.parse(orphan.retention)) });
    return rules;
  }

  /** Of several rules the one that keeps more; null: there is none, and all of the oplog stays. */
  async function oplogRuleOf(setId: string): Promise<OplogRule | null> {
    return widestRule((await rulesOf(setId)).map(({ retention }) => retention.oplog));
  }

  /** What forbids the deletion of any point of a set at the moment: nobody says which of them a copy reads. */
  async function copyAtWork(setId: string): Promise<string | undefined> {
    return (await catalog.sessions.unfinishedOf('copy')).find(({ set_id }) => set_id === setId)?.id;
  }

  /** What binds points of a set in a repository now, read once for however many are asked about. */
  async function bindings({ id, repository }: Pick<RetentionSet, 'id' | 'repository'>): Promise<(row: PointRow) => string[]> {
    const [users, copy, isAttached] = [await engine().users(), await copyAtWork(id), (await archives.find(repository)).is_attached === 1];
    return (row) => {
      const user = users.get(row.id);
      return [
        ...(row.hold_reason === null ? [] : [`it is held: ${row.hold_reason}`]),
        ...(user === undefined ? [] : [`session ${user} works with it`]),
        ...(copy === undefined ? [] : [`session ${copy} copies points of the set`]),
        ...(isAttached ? ['its repository is only read'] : []),
      ];
    };
  }

  const boundBy = async (row: PointRow): Promise<string[]> => (await bindings({ id: row.set_id, repository: row.repository }))(row);

  /** `more`: rules of policies that are not saved yet. */
  async function plan({ id, repository }: RetentionSet, more: readonly RetentionRule[] = []): Promise<RetentionPlan & { readonly rules: readonly string[]; /** How far the clock is ahead of the time that is believed. */ readonly doubtedMs: number }> {
    const rows = (await points.list(id)).filter((row) => row.lost === 0 && row.repository === repository);
    const rules = [...(await rulesOf(id)), ...more];
    const bound = await bindings({ id, repository });
    const known = rows.map((row) => ({ id: row.id, createdAtMs: row.created_ms, ok: points.summary(row).proof?.ok ?? null, bound: bound(row) }));
    const nowMs = await believed.now();
    return { ...planRetention(known, rules, nowMs), doubtedMs: Math.max(0, clock.now() - nowMs), rules: rules.map(({ name }) => name) };
  }

  async function start(set: RetentionSet, reason?: string): Promise<SessionRow> {
    return await engine().start({ kind: 'retention', object: { kind: 'set', id: set.id, name: set.name }, setId: set.id, lane: laneOf('retention', set.id), wish: { setId: set.id, name: set.name, repository: set.repository }, reason });
  }

  /** Every protected set, because slices of its oplog are merged without a rule too; and those of removed policies that are not protected any more, while a rule is about them. */
  async function sets(): Promise<RetentionSet[]> {
    const known = await catalog.sets.list();
    const orphans = new Set((await catalog.policies.orphans()).map(({ set_id }) => set_id).filter((of) => !known.some(({ id }) => id === of)));
    const left = await Promise.all(
      [...orphans].map(async (set_id) => {
        const own = (await points.list(set_id)).filter((row) => row.lost === 0 && points.summary(row).copiedFrom === null);
        return [...new Set(own.map(({ repository }) => repository))].map((repository) => ({ id: set_id, name: points.summary(own[0]!).setName, repository }));
      }),
    );
    const ruled: RetentionSet[] = known.map(({ id, name, repository }) => ({ id, name, repository }));
    for (const { id, name, repository } of left.flat()) if ((await rulesOf(id)).length > 0) ruled.push({ id, name, repository });
    return ruled;
  }

  return {
    plan,
    start,
    sets,
    boundBy,
    oplogRuleOf,
    /** A set has a new restore point. One that is at work plans again, or the next one does. */
    async afterBackup(set: RetentionSet): Promise<void> {
      try {
        if ((await plan(set)).goes.length > 0 || (await tending.isDue(set, await oplogRuleOf(set.id)))) await start(set, 'after a backup');
      } catch (error) {
        if (!isFailure(error, laneTaken)) log.warn('retention was not applied after a backup', { set: set.name, why: describe(error) });
      }
    },
  };
}
