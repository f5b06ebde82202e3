/**
 * How fast an oplog that nobody followed for a while is archived, and in how much memory.
 *
 * One member, one chain that begins before its backlog: small inserts and updates. Then the task of a protected set, in the mover that the
 * transport starts, archives the backlog into a directory and ends. Beside it, a program that carries the same range through the
 * official driver's cursor, untouched, to /dev/null: what any program has to pay before it has done anything. The two take turns.
 * Every entry of the range must be in the archive, byte for byte.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Timestamp, type MongoClient } from 'mongodb';
import { showTime, timeKey, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openLog } from '../../src/base/log.ts';
import type { ArchiveAccess } from '../../src/contract/values.ts';
import { openTaskRunner } from '../../src/agent/task-runner.ts';
import { programs } from '../../src/main/installation.ts';
import { discoverSet } from '../../src/mongo/topology.ts';
import { createRepository, makeArchive, openArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { openReplicaSet, type ReplicaSet } from '../../test/kit/replica-set.ts';
import { median, openMeter, round, treeOf } from './accounting.ts';
import { workOfChild } from './child-work.ts';
import type { CursorDone, CursorJob } from './oplog-cursor.ts';
import { openRandom } from './random.ts';
import { folder, type Measured, type Run } from './run.ts';
import { openVolume } from './volume.ts';

const ENTRIES = 1_000_000;
const LOTS = 30;
const ROUNDS = 3;
const setName = 'meters';

type Backlog = { readonly entries: number; readonly half: ClusterTime; readonly through: ClusterTime };
type Followed = { readonly seconds: number; readonly cpuSeconds: number; readonly mongodCpuSeconds: number; readonly idleMiB: number; readonly halfMiB: number; readonly endMiB: number; readonly storedBytes: number; readonly contents: CursorDone['contents'] };
type Told = { readonly through: ClusterTime };

export async function benchOplog(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const volume = stack.use(await openVolume(run.directory, 'volume', 20, say));
  const set = stack.use(await openReplicaSet({ members: 1, name: setName, directory: join(volume.directory, 'set'), oplogSizeMb: 8000, cacheGb: 1 }));
  await using client = await set.client();
  const { setId } = await discoverSet(client);
  const archives = await Promise.all(Array.from({ length: ROUNDS }, async (_, k) => await openFollower(run, set, setId, join(volume.directory, `repository-${k}`))));
  // Each has its chain, which begins here.
  for (const archive of archives) await archive.follow();
  const backlog = await makeBacklog(client, run);
  say(`${backlog.entries} operations until ${showTime(backlog.through)}`);
  const followed: Followed[] = [];
  const carried: CursorDone[] = [];
  for (const archive of archives) {
    const after = await archive.through();
    const own = await archive.follow(backlog.half);
    const through = await archive.through();
    const job: CursorJob = { uri: set.uri, after: timeKey(after), through: timeKey(through) };
    const peer = await workOfChild<CursorJob, CursorDone>('oplog-cursor.ts', job);
    requireSame(own.contents, peer.contents, backlog.entries);
    say(`archived ${own.contents.entries} entries in ${own.seconds} s (${Math.round(own.contents.entries / own.seconds)} a second), the cursor alone ${peer.seconds} s`);
    followed.push(own);
    carried.push(peer);
  }
  const middle = <T>(from: readonly T[], of: (one: T) => number): number => round(median(from.map(of)));
  const seconds = middle(followed, (one) => one.seconds);
  const { entries, bytes } = carried[0]!.contents;
  return {
    ratios: { oplog_entries_per_second: Math.round(entries / seconds), oplog_vs_cursor: round(seconds / middle(carried, (one) => one.seconds)), oplog_end_vs_half_rss: middle(followed, (one) => one.endMiB / one.halfMiB) },
    figures: {
      scale: run.scale,
      entries,
      plainBytes: bytes,
      storedBytes: followed[0]!.storedBytes,
      archived: { seconds, secondsEach: followed.map((one) => one.seconds), megabytesPerSecond: round(bytes / 1e6 / seconds, 1), cpuSeconds: middle(followed, (one) => one.cpuSeconds), mongodCpuSeconds: middle(followed, (one) => one.mongodCpuSeconds) },
      peakRssMiB: { withoutBacklog: middle(followed, (one) => one.idleMiB), half: middle(followed, (one) => one.halfMiB), end: middle(followed, (one) => one.endMiB) },
      cursor: { seconds: middle(carried, (one) => one.seconds), cpuSeconds: middle(carried, (one) => one.cpuSeconds), peakRssMiB: middle(carried, (one) => one.peakRssMiB) },
    },
  };
}

type Follower = { follow(half?: ClusterTime): Promise<Followed>; through(): Promise<ClusterTime> };

/** A repository of its own for each, so that each archives the same backlog. */
async function openFollower(run: Run, set: ReplicaSet, setId: string, path: string): Promise<Follower> {
  const storage = await openDirectory(path, { create: true });
  const { key: repositoryKey } = await createRepository(storage, 'a passphrase of the bench');
  const { key } = await makeArchive(storage, repositoryKey, setId, setName);
  const archive = await openArchive(storage, setId, key);
  const access: ArchiveAccess = { location: { kind: 'directory', path }, secret: null, setId, keyHex: Buffer.from(key).toString('hex') };
  const { host, port } = set.members[0]!;
  const input = { archive: access, target: { hosts: [{ host, port }], replicaSet: set.name, credential: { kind: 'none' } }, setName, untilCaughtUp: true };
  let taken = 0;
  let idleMiB = 0;
  const slices = async () => {
    const [chain] = (await archive.oplog.chains()).chains;
    return { chain: chain!, slices: await archive.oplog.slices(chain!.id) };
  };
  const through = async (): Promise<ClusterTime> => {
    const { chain, slices: all } = await slices();
    return all.at(-1)?.through ?? chain.start.after;
  };
  return {
    through,
    async follow(half) {
      const before = taken === 0 ? undefined : await through();
      const runner = await openTaskRunner({ workDirectory: folder(run, `${path.slice(-1)}-work-${taken++}`), programs, log: openLog(() => {}), cleanUp: async () => {}, quiet: true });
      const others = new Set(treeOf(process.pid));
      const mongod = openMeter(set.members[0]!.pid);
      const startedMs = performance.now();
      await runner.start('follow', 'oplog', input);
      const mover = openMeter(treeOf(process.pid).find((pid) => !others.has(pid))!);
      const peak = (): number => Math.max(0, ...mover.peaks.values());
      let halfMiB = 0;
      const state = await runner.watch('follow', 0, (_, event) => {
        if (event.kind !== 'status' || event.key !== 'chain' || half === undefined || halfMiB > 0) return;
        if (timeKey((event.value as Told).through) >= timeKey(half)) halfMiB = peak();
      }, AbortSignal.timeout(3_600_000));
      const seconds = round((performance.now() - startedMs) / 1000);
      const { cpuSeconds } = mover.stop();
      const mongodCpuSeconds = mongod.stop().cpuSeconds;
      await runner.close();
      if (state.state !== 'finished') throw new Error(`the follower did not finish: ${JSON.stringify(state)}`);
      if (before === undefined) idleMiB = peak();
      const { chain, slices: all } = await slices();
      const hash = createHash('sha256');
      let [entries, bytes] = [0, 0];
      if (before !== undefined) {
        for await (const batch of archive.oplog.read(chain.id, before, await through())) {
          hash.update(batch.bytes);
          entries += batch.count;
          bytes += batch.bytes.length;
        }
      }
      return { seconds, cpuSeconds, mongodCpuSeconds, idleMiB, halfMiB, endMiB: peak(), storedBytes: all.reduce((sum, slice) => sum + slice.bytes, 0), contents: { entries, bytes, sha256: hash.digest('hex') } };
    },
  };
}

/** Readings of meters: two inserts for each update; each is an entry of its own. */
async function makeBacklog(client: MongoClient, run: Run): Promise<Backlog> {
  const random = openRandom(run.seed, 'backlog');
  const meters = client.db('shop').collection<{ _id: number; lot: number; value: number; place: string; read: number }>('meters');
  const inserts = Math.ceil((ENTRIES * run.scale * 2) / 3 / LOTS);
  const updates = Math.ceil(inserts / 2);
  let half: ClusterTime | undefined;
  for (let lot = 0; lot < LOTS; lot++) {
    const first = lot * inserts;
    await meters.insertMany(Array.from({ length: inserts }, (_, k) => ({ _id: first + k, lot, value: random.int(1e6), place: random.hex(8), read: 0 })), { ordered: false });
    await meters.updateMany({ _id: { $gte: first, $lt: first + updates } }, { $inc: { read: 1 }, $set: { value: random.int(1e6) } });
    if (lot === LOTS / 2) half = await now(client);
  }
  return { entries: LOTS * (inserts + updates), half: half!, through: await now(client) };
}

async function now(client: MongoClient): Promise<ClusterTime> {
  const { operationTime } = (await client.db('admin').command({ ping: 1 })) as unknown as { operationTime: Timestamp };
  return { t: operationTime.getHighBitsUnsigned(), i: operationTime.getLowBitsUnsigned() };
}

function requireSame(own: CursorDone['contents'], peer: CursorDone['contents'], atLeast: number): void {
  if (own.entries < atLeast) throw new Error(`${own.entries} entries were archived of ${atLeast}`);
  if (JSON.stringify(own) !== JSON.stringify(peer)) throw new Error(`archived ${JSON.stringify(own)}, in the oplog ${JSON.stringify(peer)}`);
}
