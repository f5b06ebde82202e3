/**
 * How long the archived oplog of a set is kept, and who reads it now (docs/design/oplog-retention.md).
 *
 *   cut (task) ─▶ who reads? ─▶ empty what nobody reads (task) ─▶ merge slices (oplog-merges.ts)
 *
 * A session that reads either is seen here, or begins later and finds the gap, or the merged slice (docs/design/oplog-merging.md).
 */
import { compareTimes, type ClusterTime } from '../base/cluster-time.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { OrderOutput } from '../contract/orders.ts';
import type { SessionKind } from '../contract/sessions.ts';
import type { OplogGoing, OplogMerged, OplogRule, OplogStretch } from '../contract/values.ts';
import type { Archives } from './archives.ts';
import type { Believed } from './believed-time.ts';
import type { FlowContext } from './flow.ts';
import type { Links } from './links.ts';
import { openOplogMerges } from './oplog-merges.ts';
import type { OplogStandings } from './oplog-standings.ts';
import type { Points } from './points.ts';
import type { SessionEngine } from './session-engine.ts';
import { asDone, sweepRunning, type TendedArchive } from './tended-archive.ts';

export type OplogTending = ReturnType<typeof openOplogTending>;
export type Tended = { readonly slices: number; readonly freedBytes: number; /** Gaps whose bytes wait until sessions have ended. */ readonly waiting: number; /** Null: nothing is known of it. */ readonly merged: OplogMerged | null; /** The session is to say so by its state. */ readonly isMergeFailed: boolean };

/** They read archived oplog; of other kinds none does, or only what is newer than any gap. */
const readers: ReadonlySet<string> = new Set<SessionKind>(['verify', 'publish', 'restore-set', 'restore-collections', 'oplog-find', 'copy']);
const wholeReaders: ReadonlySet<string> = new Set<SessionKind>(['check', 'repair']);

type OplogPlan = OrderOutput<'archive.oplog-plan'>;

type Options = { catalog: Catalog; archives: Archives; points: Points; links: Links; believed: Believed; standings: Pick<OplogStandings, 'cut'>; version: string };

export function openOplogTending({ catalog, archives, points, links, believed, standings, version }: Options, engine: () => SessionEngine) {
  const merges = openOplogMerges({ catalog, archives, links, version });

  /** Points that sessions work with, and sessions that may read anything. */
  async function readersOf({ id, repository }: TendedArchive, besides: string | null): Promise<{ busy: string[]; anything: string[] }> {
    const [busy, anything]: [string[], string[]] = [[], []];
    for (const row of await catalog.sessions.unfinished()) {
      const isReader = (readers.has(row.kind) && row.set_id === id) || (wholeReaders.has(row.kind) && row.object_id === repository);
      if (row.id === besides || !isReader) continue;
      const point = await engine().pointOf(row);
      if (typeof point === 'string') busy.push(point);
      else anything.push(row.id);
    }
    return { busy, anything };
  }

  /** Those that no session reads: one that works with a point may read what is behind its checkpoint. */
  async function unread(cuts: readonly OplogStretch[], archive: TendedArchive, context: FlowContext): Promise<OplogStretch[]> {
    const { busy, anything } = await readersOf(archive, context.session);
    if (anything.length > 0) return [];
    const from: ClusterTime[] = [];
    for (const point of busy) {
      const row = await catalog.points.find(point);
      from.push(row === undefined ? { t: 0, i: 0 } : points.summary(row).checkpoint);
    }
    return cuts.filter(({ through }) => from.every((checkpoint) => compareTimes(checkpoint, through) >= 0));
  }

  const planFor = async ({ id, repository }: TendedArchive, rule: OplogRule | null, without: readonly string[]): Promise<OplogPlan> => {
    const { host } = await archives.find(repository);
    const { busy } = await readersOf({ id, repository }, null);
    return await links.of(host).ask('archive.oplog-plan', { archive: await archives.access(repository, id), rule, nowMs: await believed.now(), busy, without: [...without], keepFrom: null });
  };

  async function giveBack(archive: TendedArchive, at: Place, rule: OplogRule | null, keepFrom: ClusterTime | null, context: FlowContext): Promise<Omit<Tended, 'merged' | 'isMergeFailed'>> {
    await context.step('apply the retention of the oplog');
    const cut = asDone('cut', await context.task('cut oplog', 'tend-oplog', at, async () => ({ wish: { what: 'cut' as const, rule, nowMs: await believed.now(), busy: (await readersOf(archive, context.session)).busy, keepFrom } })));
    // A copy has the same chains, and its cuts are its own.
    if ((await catalog.sets.find(archive.id))?.repository === archive.repository) standings.cut(archive.id, [...cut.goes, ...cut.full]);
    if (cut.retainedUntilMs !== null) await context.tell(`${cut.retainedBytes} bytes of oplog that is not needed any more are locked, the first of them until ${new Date(cut.retainedUntilMs).toISOString()}`);
    const free = await unread(cut.full, archive, context);
    const waiting = cut.full.length - free.length;
    if (waiting > 0) await context.tell(`${waiting} stretches of oplog that nobody needs wait for sessions that may read them`);
    if (free.length === 0) return { slices: 0, freedBytes: 0, waiting };
    const { slices, freedBytes } = asDone('empty', await context.task('empty oplog', 'tend-oplog', at, async () => Promise.resolve({ wish: { what: 'empty', cuts: free } })));
    return { slices, freedBytes, waiting };
  }

  return {
    /** Whether a session would find anything to do. */
    async isDue(archive: TendedArchive, rule: OplogRule | null): Promise<boolean> {
      try {
        const { goes, full, merges: found } = await planFor(archive, rule, []);
        return goes.length + full > 0 || (await merges.isDue(archive, found));
      } catch (error) {
        // An archive so large that a look takes longer than an order may is the one that needs it most.
        if (isFailure(error, deadlinePassed)) return true;
        throw error;
      }
    },

    /** What would go, when these points have gone. */
    async plan(archive: TendedArchive, rule: OplogRule | null, without: readonly string[]): Promise<OplogGoing> {
      const { full: _, merges: __, ...going } = await planFor(archive, rule, without);
      return going;
    },

    /** Part of a session; `keepFrom`: everything behind it stays as well. */
    async tend(archive: TendedArchive, rule: OplogRule | null, keepFrom: ClusterTime | null, context: FlowContext): Promise<Tended> {
      const { host } = await archives.find(archive.repository);
      const at: Place = { host, repository: archive.repository, setId: archive.id, right: 'append' };
      try {
        const given = await giveBack(archive, at, rule, keepFrom, context);
        const due = async (): Promise<number> => (await planFor(archive, rule, [])).merges;
        return { ...given, ...(await merges.merge({ archive, at, unread: async (stretches) => await unread(stretches, archive, context), due }, context)) };
      } catch (error) {
        if (!isFailure(error, sweepRunning)) throw error;
        await context.tell('a sweep works on the archive: its oplog is seen to the next time');
        return { slices: 0, freedBytes: 0, waiting: 0, merged: null, isMergeFailed: false };
      }
    },
  };
}

type Place = { readonly host: string; readonly repository: string; readonly setId: string; readonly right: 'append' };
