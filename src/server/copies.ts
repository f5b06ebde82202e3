/** Backup copies: which sets are copied into which other repository, and the sessions that do it (docs/design/backup-copy.md). */
import type { Catalog } from '../catalog/catalog.ts';
import type { CopyRow } from '../catalog/copies.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import { sortableId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import * as z from 'zod';
import { copySchedule, type Copy } from '../contract/routes/copies.ts';
import { copyKeep, discovered, wireFailure, type CopyKeep, type OplogRule } from '../contract/values.ts';
import { nextCopy } from '../domain/copy-schedule.ts';
import type { Archives } from './archives.ts';
import { copyBusy, copyExists, copyToItself, copyUnknown } from './copy-failures.ts';
import { ownTimeZone } from './own-time-zone.ts';
import type { Points } from './points.ts';
import type { ProtectedSets } from './protected-sets.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';

export type CopySchedule = z.infer<typeof copySchedule>;
export type NewCopy = { readonly set: SetRow; readonly to: string; readonly keep: CopyKeep; readonly schedule: CopySchedule };
export type Copies = ReturnType<typeof openCopies>;

export const keepOf = (row: CopyRow): CopyKeep => copyKeep.parse(JSON.parse(row.keep));
/** Its oplog is kept as long as a copied point leads to it, or for so many days. */
export function oplogRuleOf(row: CopyRow): OplogRule {
  const { oplogDays } = keepOf(row);
  return oplogDays === undefined ? { kind: 'points' } : { kind: 'days', days: oplogDays };
}
export const scheduleOf = (row: CopyRow): CopySchedule => copySchedule.parse(JSON.parse(row.schedule));

/** Of this machine, as its operator reads its clock. */

/** Stands behind the id of a point in that of its copy, so that a second try makes the same one. */
export const suffixOf = (repository: string): string => repository.replace(/[^a-z0-9]/g, '').slice(0, 8);

type Options = { catalog: Catalog; archives: Archives; sets: ProtectedSets; points: Points; clock: Clock; log: Log };

export function openCopies({ catalog, archives, sets, points, clock, log }: Options, engine: () => SessionEngine) {
  let wake = (): void => {};

  const nameOf = async (row: CopyRow): Promise<string> => {
    const set = await catalog.sets.find(row.set_id);
    return `${set?.name ?? row.set_id}/${(await archives.find(row.repository)).name}`;
  };

  async function find(text: string): Promise<CopyRow> {
    const known = await catalog.copies.list();
    const named = await Promise.all(known.map(async (row) => ({ row, name: await nameOf(row) })));
    const found = named.filter(({ row, name }) => row.id === text || name === text || name.startsWith(`${text}/`) || row.set_id === text);
    if (found.length !== 1) throw copyUnknown({ copy: text, several: found.length > 1 });
    return found[0]!.row;
  }

  async function start(row: CopyRow, reason?: string): Promise<SessionRow> {
    const name = await nameOf(row);
    try {
      return await engine().start({ kind: 'copy', object: { kind: 'copy', id: row.id, name }, setId: row.set_id, lane: laneOf('copy', row.id), wish: { copy: row.id }, reason });
    } catch (error) {
      if (!isFailure(error, laneTaken)) throw error;
      throw copyBusy({ copy: name, session: String(error.details['session']) }, error);
    }
  }

  /** Opens the session that follows the copied oplog of an immediate copy, unless it is open. */
  async function keepFollowed(row: CopyRow): Promise<void> {
    if (scheduleOf(row).kind !== 'immediate') return;
    try {
      const object = { kind: 'copy', id: row.id, name: await nameOf(row) } as const;
      await engine().start({ kind: 'copy-oplog', object, setId: row.set_id, lane: laneOf('copy-oplog', row.id), wish: { copy: row.id } });
    } catch (error) {
      if (!isFailure(error, laneTaken)) throw error;
    }
  }

  /** Ends what works for a copy, and forgets it. What was copied stays. */
  async function end(row: CopyRow): Promise<void> {
    await catalog.copies.remove(row.id);
    for (const open of await catalog.sessions.unfinished()) if (open.object_id === row.id) await engine().end(open.id);
  }

  async function lastRun(row: CopyRow): Promise<Copy['lastRun']> {
    const last = await catalog.sessions.newest('copy', row.id);
    if (last === undefined) return null;
    const says = last.failure === null ? null : wireFailure.parse(JSON.parse(last.failure)).message;
    return { session: last.id, state: last.state as NonNullable<Copy['lastRun']>['state'], endedAtMs: last.ended_ms, says };
  }

  return {
    find,
    start,
    keepFollowed,
    end,
    nameOf,
    list: async (): Promise<CopyRow[]> => await catalog.copies.list(),
    ofSet: async (setId: string): Promise<CopyRow[]> => (await catalog.copies.list()).filter(({ set_id }) => set_id === setId),
    /** Called when copies were added or taken away. */
    onChange: (act: () => void): void => void (wake = act),

    async add({ set, to, keep, schedule }: NewCopy): Promise<CopyRow> {
      const target = await archives.writable(to);
      if (target.id === set.repository) throw copyToItself({ set: set.name, repository: target.name });
      await archives.open(target, set.id, discovered.parse(JSON.parse(set.discovered)).name);
      const row: CopyRow = { id: sortableId(clock), set_id: set.id, repository: target.id, keep: JSON.stringify(keep), schedule: JSON.stringify(schedule), counts_from_ms: clock.now(), added_ms: clock.now() };
      if (!(await catalog.copies.add(row))) throw copyExists({ set: set.name, repository: target.name });
      await keepFollowed(row);
      wake();
      return row;
    },

    async remove(row: CopyRow): Promise<void> {
      const running = (await catalog.sessions.unfinished()).find(({ kind, object_id }) => kind === 'copy' && object_id === row.id);
      if (running !== undefined) throw copyBusy({ copy: await nameOf(row), session: running.id });
      await end(row);
      wake();
    },

    /** A set has a new restore point. */
    async afterBackup(setId: string): Promise<void> {
      for (const row of await catalog.copies.list()) {
        if (row.set_id !== setId || scheduleOf(row).kind !== 'immediate') continue;
        await start(row, 'after a backup').catch((error: unknown) => log.info('a copy was not started after a backup', { copy: row.id, why: describe(error) }));
      }
    },

    async view(row: CopyRow): Promise<Copy> {
      const set = await sets.find(row.set_id);
      const [from, to] = [await archives.find(set.repository), await archives.find(row.repository)];
      const copied = (await points.list(row.set_id)).filter(({ repository, lost }) => repository === row.repository && lost === 0).map(points.summary).filter(({ copiedFrom }) => copiedFrom !== null);
      const schedule = scheduleOf(row);
      return {
        id: row.id,
        set: set.name,
        setId: set.id,
        from: from.name,
        to: to.name,
        keep: keepOf(row),
        schedule,
        addedAtMs: row.added_ms,
        nextRunAtMs: nextCopy(schedule, ownTimeZone(), row.counts_from_ms),
        points: copied.length,
        newest: copied.at(-1) ?? null,
        lastRun: await lastRun(row),
      };
    },
  };
}
