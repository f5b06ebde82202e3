/**
 * Native replay: a copy is brought to a moment by mongod's own recovery (docs/design/native-replay.md).
 *
 *   refuse     version, reach and every entry of (checkpoint, target] are looked at; nothing has been started or written
 *   start 1    standalone: copy and archive are compared, the archive is loaded, recovery is told where to end; not needed
 *              for files that are only looked at: their journal is written instead (journal-load.ts)
 *   start 2    recovery replays up to and including the target, read-only: the moment to look at everything
 *   verified   recovery began at the checkpoint, applied as many entries as there are, and ended at the last one
 *
 * Promise: what is answered is the state just after the last operation at or before the target, or a failure is thrown.
 * One way: entries after the target are gone from these files afterwards.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { systemClock, type Clock } from '../base/clock.ts';
import { type ClusterTime, compareTimes, type Optime, sameTime, sayTime } from '../base/cluster-time.ts';
import { silentLog, type Log } from '../base/log.ts';
import { loadArchive, ownEntries, showLoaded, type Load, type Loaded } from './archive-load.ts';
import { loadIntoJournal } from './journal-load.ts';
import { findWrongIndexes, rebuildIndexes, type WrongIndex } from './index-repair.ts';
import { startMongod, type Ended, type Mongod, type MongodOptions } from './mongod.ts';
import { compareOplogs } from './oplog-comparison.ts';
import { readOptime } from './oplog-entry.ts';
import { openSelection, type Selection } from './replay-selection.ts';
import { prepareRecovery, type NewSet } from './recovery-documents.ts';
import { readRecovery, watchApplied, type RecoveryLog } from './recovery-log.ts';
import { replayNotExact, replayStopUnclean } from './replay-failures.ts';
import { checkReach, requireSameMajor } from './replay-refusals.ts';
import { scanRange, type ArchivedOplog, type Scanned } from './replay-scan.ts';

export type { ArchivedOplog } from './replay-scan.ts';
export type { NewSet } from './recovery-documents.ts';

export type ReplayOptions = {
  readonly binary: string;
  readonly dbPath: string;
  /** Of the mongod that wrote the files; the binary must be of the same major version. */
  readonly mongodVersion: string;
  readonly checkpoint: ClusterTime;
  readonly target: ClusterTime;
  readonly archive: ArchivedOplog;
  /** The chain that `archive` reads from. */
  readonly span: { readonly after: ClusterTime & { readonly term?: number }; readonly through: ClusterTime };
  /** Only these namespaces will be looked at, and the files are thrown away: what no one of them needs is not replayed. */
  readonly only?: readonly string[];
  /** Makes the files those of a new set. Without it they stay what they are, for looking at. */
  readonly newSet?: NewSet;
  /** Answers the mongod of start 2, running and read-only; else it is stopped and the files are ready for the next start. */
  readonly inspect: boolean;
  readonly socketDir: string;
  readonly logPath?: string;
  /** Storage options the files were written with, such as --directoryperdb. */
  readonly storageArguments?: readonly string[];
  /** A command that starts mongod, such as nsenter into the namespace that sees its files. */
  readonly wrap?: readonly string[];
  /** For start 2: more arguments, a port beside the private socket, how to sign in. */
  readonly serve?: Pick<MongodOptions, 'port' | 'bindIp' | 'args' | 'address'>;
  /** Replay caches what it touches: the default suits a host that runs other members. */
  readonly cacheGb?: number;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: 'scan' | 'load' | 'replay' | 'stop', says: string) => void;
  /** Bytes of oplog replayed so far, of those that will be; a short replay is over before there is anything to tell. */
  readonly onReplayed?: (bytes: number, of: number) => void;
};

export type Replayed = {
  /** Of start 2, when it was asked for: read-only, at the target. The caller stops it. */
  readonly mongod: Mongod | undefined;
  /** Entries between checkpoint and target. */
  readonly entries: number;
  readonly loaded: Loaded;
  /** The newest entry at or before the target: what the files end with. */
  readonly last: Optime;
  /** Of the new set. */
  readonly replicaSetId: string | null;
  readonly seconds: {
    readonly scan: number;
    readonly load: number;
    readonly replay: number;
    readonly stop: number;
    readonly total: number;
  };
};

export async function bringTo(options: ReplayOptions): Promise<Replayed> {
  const { target, checkpoint, clock = systemClock, log = silentLog } = options;
  const watch = stopWatch(clock);
  const step: NonNullable<ReplayOptions['onStep']> = (name, says) => {
    log.info(says, { step: name });
    options.onStep?.(name, says);
  };
  if (options.only !== undefined && options.newSet !== undefined) throw new Error('files with a part of their history are no set');
  checkReach({ checkpoint, target, span: options.span, barriers: [] });
  await requireSameMajor(options.binary, options.mongodVersion);
  step('scan', `read the archived oplog from ${sayTime(checkpoint)} to ${sayTime(target)}`);
  const selection = options.only === undefined ? undefined : openSelection(options.only);
  const scanned = await scanRange(options.archive, checkpoint, target, { signal: options.signal, onEntry: selection?.note });
  const scan = watch();
  step('load', `load ${scanned.entries} entries, ${(scanned.bytes / 1e6).toFixed(1)} MB`);
  mkdirSync(options.socketDir, { recursive: true, mode: 0o700 });
  const logPath = options.logPath ?? join(options.socketDir, 'mongod.log');
  rmSync(join(options.dbPath, 'mongod.lock'), { force: true });
  const { loaded, replicaSetId } = (await journaling(options, scanned, selection)) ?? (await loading(options, logPath, scanned, selection));
  const expected = scanned.last ?? loaded.last;
  if (!sameTime(expected, loaded.last)) throw replayNotExact({ target, why: `the oplog ends with ${sayTime(loaded.last)}, the archive with ${sayTime(expected)}` });
  step('load', showLoaded(loaded));
  const load = watch();
  const base = { entries: scanned.entries, loaded, last: loaded.last, replicaSetId };
  step('replay', `replay to ${sayTime(target)}`);
  const mongod = await replaying(options, logPath, scanned, loaded, (says) => step('replay', says));
  const replay = watch();
  if (options.inspect)
    return { ...base, mongod, seconds: { scan, load, replay, stop: 0, total: scan + load + replay } };
  requireClean('replay', await mongod.stop());
  const stop = watch();
  step('stop', `replayed in ${replay.toFixed(1)} s`);
  return { ...base, mongod: undefined, seconds: { scan, load, replay, stop, total: scan + load + replay + stop } };
}

/** In place of start 1, where the files are only looked at and can be written before a mongod opens them. */
async function journaling(options: ReplayOptions, scanned: Scanned, selection: Selection | undefined): Promise<{ loaded: Loaded; replicaSetId: null } | undefined> {
  const isOwn = options.inspect && options.newSet === undefined && (options.wrap ?? []).length === 0;
  if (!isOwn || scanned.entries === 0) return undefined;
  const log = options.log ?? silentLog;
  const loaded = await loadIntoJournal(options.dbPath, loadOf(options, selection), scanned.bytes, (why) => log.info('the archive is loaded by a mongod', { why }));
  return loaded === undefined ? undefined : { loaded, replicaSetId: null };
}

function loadOf({ checkpoint, target, archive, span, signal }: ReplayOptions, selection: Selection | undefined): Load {
  return { checkpoint, target, archive, chainStart: span.after, leavesOut: selection?.leavesOut, signal };
}

/** Start 1. */
async function loading(
  options: ReplayOptions,
  logPath: string,
  scanned: Scanned,
  selection: Selection | undefined,
): Promise<{ loaded: Loaded; replicaSetId: string | null }> {
  const { target, signal } = options;
  const logStart = bytesOf(logPath);
  const mongod = await start(options, logPath, 0, []);
  const done = await onMongod(mongod, signal, async (client) => {
    requireCheckpoint(await readRecovery(logPath, logStart), options);
    const socket = 'socket' in mongod.address ? mongod.address.socket : '';
    const loaded = await loadArchive(client, socket, loadOf(options, selection));
    return { loaded, replicaSetId: await prepareRecovery(client, target, options.newSet) };
  });
  requireClean('load the archive', await mongod.stop());
  return done;
}

/** Larger batches than a secondary's 5,000: nobody reads meanwhile, and each batch waits for its slowest thread. Their bytes stay bounded by mongod's own limit. */
const recover = ['recoverFromOplogAsStandalone=true', 'takeUnstableCheckpointOnShutdown=true', 'replBatchLimitOperations=50000'];

/** Some seconds of replay. mongod's words about its batches come with a line for each collection, which is not worth it for less. */
const longEntries = 100_000;
const tellBatches = 'logComponentVerbosity={storage:{recovery:{verbosity:2}}}';

/** Start 2. */
async function replaying(
  options: ReplayOptions,
  logPath: string,
  scanned: Scanned,
  loaded: Loaded,
  say: (says: string) => void,
): Promise<Mongod> {
  const logStart = bytesOf(logPath);
  const isLong = options.onReplayed !== undefined && scanned.entries >= longEntries;
  const args = [...parameters(recover), ...(options.serve?.args ?? [])];
  const told = isLong ? watchApplied(logPath, logStart, (applied) => options.onReplayed?.(Math.round((scanned.bytes * applied) / scanned.entries), scanned.bytes)) : undefined;
  const mongod = await start(options, logPath, scanned.entries, args, options.serve, isLong ? [tellBatches] : []).finally(() => told?.[Symbol.dispose]());
  const wrong = await onMongod(mongod, options.signal, async (client) => {
    await verify(client, options, scanned, loaded, { logPath, logStart });
    return await findWrongIndexes(client, scanned.plainIndexes);
  });
  if (wrong.length === 0) return mongod;
  say(`build ${wrong.length} indexes again that recovery gave the collation of their collection`);
  requireClean('replay', await mongod.stop());
  return await repairing(options, logPath, wrong);
}

/** Start 3, for hardly any history: the same moment, in a mongod that takes writes. */
async function repairing(options: ReplayOptions, logPath: string, wrong: readonly WrongIndex[]): Promise<Mongod> {
  const mongod = await start(options, logPath, 0, options.serve?.args ?? [], options.serve);
  await onMongod(mongod, options.signal, async (client) => await rebuildIndexes(client, wrong));
  return mongod;
}

/** Works with a mongod that is killed when the work fails or is stopped; a stop ends what waits for an answer too. */
async function onMongod<T>(
  mongod: Mongod,
  signal: AbortSignal | undefined,
  work: (client: MongoClient) => Promise<T>,
): Promise<T> {
  const end = (): void => void mongod.kill();
  signal?.addEventListener('abort', end, { once: true });
  try {
    signal?.throwIfAborted();
    await using client = await mongod.client();
    return await work(client);
  } catch (error) {
    await mongod.kill();
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

function parameters(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['--setParameter', setting]);
}

/** mongod reports success for a replay that began or ended elsewhere, so it is never believed. */
async function verify(
  client: MongoClient,
  options: ReplayOptions,
  scanned: Scanned,
  loaded: Loaded,
  log: { logPath: string; logStart: number },
): Promise<void> {
  const said = await readRecovery(log.logPath, log.logStart);
  const wrong = (why: string): never => {
    throw replayNotExact({ target: options.target, why });
  };
  requireCheckpoint(said, options);
  // It says so too when the target is the checkpoint itself.
  if (said.movedUp && !sameTime(options.target, options.checkpoint))
    wrong('mongod moved the end up to the checkpoint of the files');
  if (said.applied !== scanned.entries)
    wrong(`${said.applied ?? 'an unknown number of'} entries were applied, there are ${scanned.entries}`);
  if (loaded.by === 'journal') {
    // What our reader saw of the files before is what mongod sees now.
    const own = ownEntries(client.db('local').collection('oplog.rs'), options.checkpoint, loaded.through);
    const { holes } = await compareOplogs(own, loadOf(options, undefined), loaded.through);
    if (holes.length > 0) wrong(`${holes.length} entries below ${sayTime(loaded.through)} are missing`);
  }
  const [newest] = await client
    .db('local')
    .collection('oplog.rs')
    .find<Buffer>({}, { raw: true, sort: { $natural: -1 }, limit: 1 })
    .toArray();
  const end = newest === undefined ? undefined : readOptime(newest);
  if (end === undefined || compareTimes(end, loaded.last) !== 0 || end.term !== loaded.last.term) {
    wrong(
      `the oplog ends with ${end === undefined ? 'nothing' : sayTime(end)}, it should end with ${sayTime(loaded.last)}`,
    );
  }
}

function requireCheckpoint({ recoveryTimestamp: at }: RecoveryLog, { checkpoint, target }: ReplayOptions): void {
  if (at !== undefined && sameTime(at, checkpoint)) return;
  const found = at === undefined ? 'without a checkpoint of a replica set' : `from ${sayTime(at)}`;
  throw replayNotExact({ target, why: `the files are ${found}, the copy is said to be from ${sayTime(checkpoint)}` });
}

/** Nothing of the mongod's own may be written: no TTL deletes, no session refresh, no sampling of the oplog, no diagnostics. */
const quiet = [
  'ttlMonitorEnabled=false',
  'disableLogicalSessionCacheRefresh=true',
  'diagnosticDataCollectionEnabled=false',
];
/** Not every version has it; without it the oplog is sampled at random at start, which is slow on a mount. */
const optional = 'maxOplogTruncationPointsDuringStartup=1';

/** Far more than an entry takes anywhere, a mount included: whether mongod still works is seen by its process. */
const entryMs = 20;

async function start(
  options: ReplayOptions,
  logPath: string,
  entries: number,
  more: readonly string[],
  serve: ReplayOptions['serve'] = {},
  /** Parameters that may be left out, too. */
  wishes: readonly string[] = [],
): Promise<Mongod> {
  const startWith = async (names: readonly string[]): Promise<Mongod> =>
    await startMongod({
      ...serve,
      binary: options.binary,
      dbPath: options.dbPath,
      wrap: options.wrap,
      socketDir: options.socketDir,
      logPath,
      args: [
        ...parameters(names),
        ...smallJournal,
        '--wiredTigerCacheSizeGB',
        String(options.cacheGb ?? 1),
        ...(options.storageArguments ?? []),
        ...more,
      ],
      readyMs: 300_000 + entries * entryMs,
      signal: options.signal,
    });
  const size = bytesOf(logPath);
  for (const asked of [[optional, ...wishes], ...(wishes.length > 0 ? [wishes] : [])]) {
    try {
      return await startWith([...quiet, ...asked]);
    } catch (error) {
      // A parameter that mongod does not know ends it before its first line of log.
      const silent = bytesOf(logPath) === size;
      if (!silent || options.signal?.aborted === true) throw error;
    }
  }
  return await startWith(quiet);
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** WiredTiger reads its newest journal file to the end at each start; its usual 100 MB of zeros cost a third of a second. */
const smallJournal = ['--wiredTigerEngineConfigString', 'log=(file_max=16MB,prealloc=false)'];

function requireClean(step: string, { code, signal }: Ended): void {
  if (code !== 0) throw replayStopUnclean({ step, status: code === null ? `signal ${signal}` : `exit code ${code}` });
}

function stopWatch(clock: Clock): () => number {
  let from = clock.monotonicMs();
  return () => {
    const to = clock.monotonicMs();
    const seconds = (to - from) / 1000;
    from = to;
    return seconds;
  };
}
