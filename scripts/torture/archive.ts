/** The set's archive as a reader with the passphrase sees it: what the torture takes its moments and its second path from. */
import { BSON } from 'mongodb';
import { latest, type ClusterTime } from '../../src/base/cluster-time.ts';
import { entriesOf } from '../../src/mongo/oplog-entry.ts';
import type { OplogBatch } from '../../src/mongo/oplog-batch.ts';
import { openArchive, type Archive } from '../../src/repository/archive.ts';
import { listArchives, openRepository } from '../../src/repository/repository.ts';
import type { StoragePlace } from '../../src/repository/storage/location.ts';
import { openStorage } from '../../src/repository/storage/open-storage.ts';
import { kindOf, type Landmark } from './moments.ts';

export type OwnArchive = {
  readonly archive: Archive;
  /** The one chain of a set whose oplog was never interrupted; more than one is an error here. */
  chain(): Promise<{ id: string; after: ClusterTime; through: ClusterTime }>;
  read(after: ClusterTime, through: ClusterTime): AsyncIterable<OplogBatch>;
  landmarks(after: ClusterTime, through: ClusterTime): Promise<Landmark[]>;
  /** Collections with an index build that was begun and not ended at a moment. */
  unfinishedBuilds(at: ClusterTime): Promise<Set<string>>;
};

/** No index build of the storm takes longer. */
const BUILD_SECONDS = 120;

export async function openOwnArchive({ place, passphrase }: { place: StoragePlace; passphrase: string }, setName: string, stack: AsyncDisposableStack): Promise<OwnArchive> {
  const storage = await openStorage(place);
  stack.defer(async () => await storage.close?.());
  const { key } = await openRepository(storage, passphrase);
  const found = (await listArchives(storage, key)).find((each) => each.setName === setName);
  if (found === undefined) throw new Error(`no archive of ${setName} in ${storage.place}`);
  const archive = await openArchive(storage, found.setId, found.key);

  const chain = async (): Promise<{ id: string; after: ClusterTime; through: ClusterTime }> => {
    const { chains } = await archive.oplog.chains();
    if (chains.length !== 1) throw new Error(`the oplog chain broke: ${chains.map(({ start }) => start.why).join('; ')}`);
    const [{ id, start }] = chains as [(typeof chains)[number]];
    const last = (await archive.oplog.slices(id)).at(-1);
    return { id, after: { t: start.after.t, i: start.after.i }, through: last?.through ?? start.after };
  };
  const landmarks = async (after: ClusterTime, through: ClusterTime): Promise<Landmark[]> => {
    const { id } = await chain();
    const marks: Landmark[] = [];
    for await (const batch of archive.oplog.read(id, after, through)) {
      for (const entry of entriesOf(batch.bytes)) {
        const isPartial = entry.first === 'applyOps' && entry.session && BSON.deserialize(entry.bytes)['o'].partialTxn === true;
        marks.push({ at: { t: entry.at.t, i: entry.at.i }, kind: kindOf({ op: entry.op, first: entry.first, session: entry.session && entry.multiOpType !== 1, isPartial }) });
      }
    }
    return marks;
  };
  const unfinishedBuilds = async (at: ClusterTime): Promise<Set<string>> => {
    const { id, after } = await chain();
    const open = new Map<string, string>();
    for await (const batch of archive.oplog.read(id, latest(after, { t: at.t - BUILD_SECONDS, i: 0 }), at)) {
      for (const entry of entriesOf(batch.bytes)) {
        if (entry.first !== 'startIndexBuild' && entry.first !== 'commitIndexBuild' && entry.first !== 'abortIndexBuild') continue;
        const command = BSON.deserialize(entry.bytes)['o'] as Record<string, unknown>;
        const build = String(command['indexBuildUUID']);
        if (entry.first === 'startIndexBuild') open.set(build, `${entry.ns.slice(0, entry.ns.indexOf('.'))}.${String(command[entry.first])}`);
        else open.delete(build);
      }
    }
    return new Set(open.values());
  };
  return {
    archive,
    chain,
    unfinishedBuilds,
    read: async function* (after, through) {
      yield* archive.oplog.read((await chain()).id, after, through);
    },
    landmarks: async (after, through) => {
      const { id } = await chain();
      const borders = (await archive.oplog.slices(id)).map((slice): Landmark => ({ at: slice.through, kind: 'slice border' }));
      const marks = await landmarks(after, through);
      const byTime = new Map(marks.map((mark) => [`${mark.at.t},${mark.at.i}`, mark]));
      for (const border of borders) if (byTime.has(`${border.at.t},${border.at.i}`)) byTime.set(`${border.at.t},${border.at.i}`, border);
      return [...byTime.values()];
    },
  };
}
