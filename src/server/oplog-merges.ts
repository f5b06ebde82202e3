/**
 * Merges the slices of an archived oplog (docs/design/oplog-merging.md), as part of a session.
 *
 *   does every host know merged slices? ─▶ merge a lot (task) ─▶ who reads? ─▶ remove what is merged and nobody reads (task) ─▶ the next lot
 *
 * It is lighter work than what the session is for: what fails is a warning of the session, and the next one tries again.
 */
import { describe, isFailure } from '../base/failure.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { compareVersions, packageVersion } from '../contract/packages.ts';
import { discovered, type OplogMerged, type OplogStretch } from '../contract/values.ts';
import type { ArchiveReach } from './archive-task.ts';
import type { Archives } from './archives.ts';
import type { FlowContext } from './flow.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';
import { asDone, sweepRunning, type TendedArchive } from './tended-archive.ts';

/** A year of oplog is merged by several sessions, so that none keeps a backup's retention waiting for hours. */
const mostLots = 16;

type Options = { catalog: Catalog; archives: Archives; links: Links; /** Of this server. */ version: string };
/** `unread`: those of them that no session reads. `due`: what a look at the archive would call due now. */
type Merging = { readonly archive: TendedArchive; readonly at: ArchiveReach; readonly unread: (stretches: readonly OplogStretch[]) => Promise<OplogStretch[]>; readonly due: () => Promise<number> };
type Lots = OplogMerged & { left: number; held: string | null; stays: number; waiting: number };

export type OplogMerges = ReturnType<typeof openOplogMerges>;

export function openOplogMerges({ catalog, archives, links, version }: Options) {
  /** What was still due when all was done that can be: it is due again when that has changed. */
  const stuck = new Map<string, number>();
  const keyOf = ({ id, repository }: TendedArchive): string => `${repository} ${id}`;

  /** Hosts whose services are older than this server, which may not know the name of a merged slice; one that was never heard counts where it has to do with the archive. */
  async function behind({ id, repository }: TendedArchive): Promise<string[]> {
    const set = await catalog.sets.find(id);
    const near = new Set([(await archives.find(repository)).host, ...(set === undefined ? [] : discovered.parse(JSON.parse(set.discovered)).local.map(({ host = localHost }) => host))]);
    return links.all().flatMap((link) => {
      const { version: runs, isOtherContract } = link.standing();
      return isOtherContract || (runs === null ? near.has(link.id) : isOlder(runs, version)) ? [link.host] : [];
    });
  }

  async function lots({ at, unread }: Merging, context: FlowContext): Promise<Lots> {
    const all: Lots = { slices: 0, into: 0, files: 0, left: 0, held: null, stays: 0, waiting: 0 };
    for (let lot = 1; ; lot++) {
      const name = (what: string): string => (lot === 1 ? what : `${what}, lot ${lot}`);
      const { slices, into, files, full, left, held, stays } = asDone('merge', await context.task(name('merge oplog'), 'tend-oplog', at, async () => Promise.resolve({ wish: { what: 'merge' } })));
      const free = await unread(full);
      const removed = free.length === 0 ? { slices: 0, stays: 0 } : asDone('remove-merged', await context.task(name('remove merged oplog'), 'tend-oplog', at, async () => Promise.resolve({ wish: { what: 'remove-merged', merged: free } })));
      all.slices += slices;
      all.into += into;
      Object.assign(all, { files: files - removed.slices, left, held, stays: stays + removed.stays, waiting: full.length - free.length });
      if (left === 0 || lot === mostLots || into + removed.slices === 0) return all;
    }
  }

  async function remember({ archive, due }: Merging, { left, stays, waiting }: Lots): Promise<void> {
    stuck.delete(keyOf(archive));
    if (stays === 0 || left + waiting > 0) return;
    const count = await due().catch(() => 0);
    if (count > 0) stuck.set(keyOf(archive), count);
  }

  async function mergeLots(merging: Merging, context: FlowContext): Promise<OplogMerged> {
    const done = await lots(merging, context);
    const { slices, into, files, left, held, waiting } = done;
    if (waiting > 0) await context.tell(`what ${waiting} merged slices of oplog were made of waits for sessions that may read it`);
    if (slices > 0) await context.tell(`${slices} slices of oplog became ${into}`);
    if (left > 0) await context.tell(`${left} more slices of oplog are merged by the next run${held === null ? '' : `: ${held}`}`);
    await context.tell(`the archived oplog is ${files} slices`);
    await remember(merging, done);
    return { slices, into, files };
  }

  return {
    /** Whether a session would merge anything, of so many that a look at the archive found. */
    isDue: async (archive: TendedArchive, found: number): Promise<boolean> => found > 0 && found !== stuck.get(keyOf(archive)) && (await behind(archive)).length === 0,

    async merge(merging: Merging, context: FlowContext): Promise<{ merged: OplogMerged | null; isMergeFailed: boolean }> {
      const not = { merged: null, isMergeFailed: false };
      try {
        await context.step('merge slices of the oplog');
        const hosts = await behind(merging.archive);
        if (hosts.length === 0) return { merged: await mergeLots(merging, context), isMergeFailed: false };
        await context.tell(`the oplog is not merged before every host runs services as new as this server (${version}): ${hosts.join(', ')}`);
        return not;
      } catch (error) {
        context.signal.throwIfAborted();
        if (isFailure(error, sweepRunning)) {
          await context.tell('a sweep works on the archive: its oplog is merged the next time');
          return not;
        }
        await context.tell(`the oplog was not merged: ${describe(error)}; the next run tries again`, 'warning');
        return { merged: null, isMergeFailed: true };
      }
    },
  };
}

/** What is no version of a package is taken for this server's own. */
function isOlder(version: string, here: string): boolean {
  return [version, here].every((one) => packageVersion.safeParse(one).success) && compareVersions(version, here) < 0;
}
