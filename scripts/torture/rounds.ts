/**
 * The torture: a storm of writers, backups and the oplog all the while, blows at random; in each round one restore to a
 * moment since the last round's, and now and then one from the whole life of the set.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { openPlatform, type Platform } from '../../test/kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../../test/kit/replica-set.ts';
import { openRandom, type Random } from '../bench/random.ts';
import { openOwnArchive, type OwnArchive } from './archive.ts';
import { BLOWS, strike, type Blow } from './blows.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { openPlace, type Place, type StorageKind } from './place.ts';
import { chooseMoment, within, type Landmark } from './moments.ts';
import { openReference, type Reference } from './reference.ts';
import { tryMoment, WAYS, type Verdict, type Way } from './trial.ts';
import { startStorm, type Storm } from './writers.ts';

export type TortureOptions = {
  readonly rounds: number;
  readonly seed: string;
  readonly directory: string;
  /** Where the archive is: a directory unless given. A share's or a bucket's server is struck in every round. */
  readonly storage?: StorageKind;
  readonly say: (line: string) => void;
  /** Everything that was started ends with it: also when the run is interrupted in the middle. */
  readonly stack: AsyncDisposableStack;
  /** How long each round lets the storm rage before it restores. */
  readonly stormMs?: number;
  /** No new round begins after this time; the result says how many there were. */
  readonly longestMs?: number;
};

export type TortureResult = {
  readonly rounds: number;
  readonly differences: number;
  readonly seed: string;
  readonly found: readonly string[];
  readonly points: number;
  readonly backupsInterrupted: number;
  readonly restoresInterrupted: number;
  readonly blows: Readonly<Record<string, number>>;
  readonly moments: Readonly<Record<string, number>>;
  readonly ways: Readonly<Record<string, number>>;
  readonly documentsChecked: number;
  readonly inDoubt: number;
  readonly operations: Readonly<Record<string, number>>;
  readonly seconds: number;
};

type Tally = { points: number; backupsInterrupted: number; restoresInterrupted: number; documentsChecked: number; inDoubt: number; found: string[]; blows: Record<string, number>; moments: Record<string, number>; ways: Record<string, number> };
type Bed = { options: TortureOptions; place: Place; platform: Platform; set: ReplicaSet; storm: Storm; ledger: Ledger; archive: OwnArchive; random: Random; tally: Tally };

const SET = 'storm';
const DEEP_EVERY = 10;
const duringRestores = ['mover', 'transport', 'server'] as const;
/** A store that is started again answers some questions only after half a minute. */
const catchUpMs = 240_000;

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const startedMs = performance.now();
  const { stack } = options;
  const set = stack.use(await openReplicaSet({ name: SET, directory: join(options.directory, 'set'), oplogSizeMb: 990, args: ['--setParameter', 'ttlMonitorSleepSecs=2'] }));
  mkdirSync(join(options.directory, 'tidemark'));
  const platform = stack.use(await openPlatform({ dataDir: join(options.directory, 'tidemark'), keptIn: [process.execPath] }));
  const place = await openPlace(options.storage ?? 'directory', options.directory, stack);
  const repository = await place.add(platform);
  await platform.ok('set', 'add', set.uri, '--name', SET, '--repository', repository.name);
  const archive = await openOwnArchive(repository, SET, stack);
  await until('the chain to begin', 30_000, async () => ((await archive.archive.oplog.chains()).chains.length > 0 ? true : undefined));
  const ledger = openLedger();
  const storm = stack.use(await startStorm(set, ledger, options.seed));
  const tally: Tally = { points: 0, backupsInterrupted: 0, restoresInterrupted: 0, documentsChecked: 0, inDoubt: 0, found: [], blows: {}, moments: {}, ways: {} };
  const bed: Bed = { options, place, platform, set, storm, ledger, archive, random: openRandom(options.seed, 'torture'), tally };
  await backUp(bed, []);
  const reference = stack.use(await openReference({ binary: set.binary, directory: options.directory, name: 'reference', archive }));

  const firstPoint = ((await platform.ok('point', 'list', SET)).points as { checkpoint: ClusterTime }[])[0]!.checkpoint;
  let from = firstPoint;
  let rounds = 0;
  for (; rounds < options.rounds && performance.now() - startedMs < (options.longestMs ?? Infinity); rounds++) {
    const moment = await oneRound(bed, rounds, from, firstPoint, reference);
    if (compareTimes(moment, from) > 0) from = moment;
  }
  await storm.stop();
  return { rounds, differences: tally.found.length, seed: options.seed, ...tally, operations: storm.counts, seconds: Math.round((performance.now() - startedMs) / 1000) };
}

async function oneRound(bed: Bed, number: number, from: ClusterTime, first: ClusterTime, reference: Reference): Promise<ClusterTime> {
  const { random, options, archive, tally } = bed;
  const others: Blow[] = random.next() < 0.15 ? [] : Array.from({ length: 1 + random.int(2) }, () => random.pick(BLOWS));
  const blows: Blow[] = bed.place.strike === undefined ? others : [...others.slice(1), 'storage'];
  const raging = rage(bed, blows);
  if (random.next() < 0.7) await backUp(bed, blows);
  await raging;
  await answering(bed.platform);
  const through = await caughtUp(bed);

  const deep = number % DEEP_EVERY === DEEP_EVERY - 1;
  const start = deep ? first : from;
  const landmark = chooseMoment(within(await archive.landmarks(start, through), start, through), random);
  const way = random.pick([...WAYS, 'publish' as const]);
  count(tally.moments, deep ? `${landmark.kind} (whole life)` : landmark.kind);
  count(tally.ways, way);
  const during = random.next() < 0.2 ? random.pick(bed.place.strike === undefined ? duringRestores : (['storage'] as const)) : undefined;
  const verdict = deep ? await deepTrial(bed, landmark, way, during) : await trial(bed, landmark, way, during, reference);
  tally.documentsChecked += verdict.checked;
  tally.inDoubt += verdict.inDoubt;
  for (const difference of verdict.differences) tally.found.push(`round ${number + 1}, ${showTime(landmark.at)} (${landmark.kind}) by ${way}: ${difference}`);
  const words = verdict.differences.length === 0 ? `equal, ${verdict.checked} documents of the ledger compared` : verdict.differences.join('; ').slice(0, 500);
  options.say(`round ${number + 1}: ${showTime(landmark.at)} (${landmark.kind}${deep ? ', from the whole life' : ''}) by ${way}${blows.length === 0 ? '' : `, blows ${blows.join(', ')}`}${during === undefined ? '' : `, ${during} killed during the restore`}: ${words}`);
  return deep ? from : landmark.at;
}

/** Lets the storm rage, and strikes at random times in it, one blow after the other. */
async function rage(bed: Bed, blows: readonly Blow[]): Promise<void> {
  const { options, random, tally } = bed;
  const endsMs = performance.now() + (options.stormMs ?? 8_000);
  for (const blow of blows) {
    await pause(500 + random.int(3_000));
    if (await strike(blow, bed, random)) count(tally.blows, blow);
  }
  await pause(Math.max(0, endsMs - performance.now()));
}

/** A backup may fail when it was struck; without a blow it must not. */
async function backUp({ platform, tally, options }: Bed, blows: readonly Blow[]): Promise<void> {
  const result = await platform.tidemark('backup', 'run', SET);
  if (result.code === 0 && result.json?.verified === true) tally.points++;
  else if (blows.length > 0) {
    tally.backupsInterrupted++;
    options.say(`  a backup was interrupted (${blows.join(', ')}): ${inShort(`${result.stderr}${result.stdout}`)}`);
  } else tally.found.push(`a backup without a blow ended with ${result.code}: ${result.stderr.trim().slice(-600)}`);
}

/** Until the archive holds what was written up to now. */
async function caughtUp({ archive, set }: Bed): Promise<ClusterTime> {
  await set.settled();
  await using client = await set.client();
  const { operationTime } = await client.db('admin').command({ ping: 1 });
  const now = { t: operationTime.getHighBitsUnsigned(), i: operationTime.getLowBitsUnsigned() } as ClusterTime;
  return await until('the archived oplog to catch up', catchUpMs, async () => {
    const { through } = await archive.chain();
    return compareTimes(through, now) >= 0 ? through : undefined;
  }, { everyMs: 250 });
}

/** The restore and the second path at once; a restore that was struck is tried again, as an operator would. */
async function trial(bed: Bed, { at }: Landmark, way: Way, during: Blow | undefined, reference: Reference): Promise<Verdict> {
  const { platform, set, random, tally, options } = bed;
  const state = reference.advance(at);
  state.catch(() => {});
  const striking = during === undefined ? undefined : pause(300 + random.int(2_500)).then(async () => await strike(during, bed, random));
  const attempts = during === undefined ? 1 : 4;
  for (let attempt = 1; ; attempt++) {
    try {
      const bedOfTrial = { platform, set, setName: SET, ledger: bed.ledger, directory: options.directory, unfinishedBuilds: bed.archive.unfinishedBuilds };
      return await tryMoment(bedOfTrial, { way, at }, async () => await state);
    } catch (error) {
      await striking;
      if (attempt >= attempts) return { differences: [`the restore failed: ${(error as Error).message.slice(0, 800)}`], checked: 0, inDoubt: 0 };
      tally.restoresInterrupted++;
      options.say(`  a restore was interrupted (${during}): ${inShort((error as Error).message)}`);
      await answering(platform);
    } finally {
      if ((await striking) === true && attempt === 1) count(tally.blows, `${during} during a restore`);
    }
  }
}

/** After a blow to the server: until it answers again, and knows of its transport. */
async function answering(platform: Platform): Promise<void> {
  await until('the platform to answer after a blow', 120_000, async () => ((await platform.tidemark('window', SET)).code === 0 ? true : undefined), { everyMs: 1_000 });
}

async function deepTrial(bed: Bed, landmark: Landmark, way: Way, during: Blow | undefined): Promise<Verdict> {
  const { options, set, archive } = bed;
  await using reference = await openReference({ binary: set.binary, directory: options.directory, name: 'deep', archive });
  return await trial(bed, landmark, way, during, reference);
}

/** The failure that a command told, without the rest of its answer. */
function inShort(output: string): string {
  const [code, message] = [/"code": "([^"]+)"/.exec(output)?.[1], /"message": "((?:[^"\\]|\\.)+)"/.exec(output)?.[1]];
  return message === undefined ? output.trim().slice(-200) : `${message} [${code}]`;
}

function count(of: Record<string, number>, name: string): void {
  of[name] = (of[name] ?? 0) + 1;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
