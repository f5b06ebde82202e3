/**
 * `npm run torture -- --faults N`: sessions under one random fault each, and whether what they say is true.
 *
 * A session that ends well is believed nothing: what it made is opened and compared with the ledger. One that fails has to name
 * its fault, and must have one. After each trial the window is held against the ledger, too: a moment inside comes back equal,
 * the one past its end is refused, and there is no gap, since no fault outlasts the oplog.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareTimes, showTime, type ClusterTime } from '../../src/base/cluster-time.ts';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import { randomId } from '../../src/base/ids.ts';
import { openClient } from '../../src/mongo/connect.ts';
import { openLoopFileSystem } from '../../test/kit/file-system.ts';
import { openPlatform, type Platform } from '../../test/kit/platform.ts';
import { openReplicaSet } from '../../test/kit/replica-set.ts';
import { compareLedger } from '../demo/verdict.ts';
import { openRandom } from '../bench/random.ts';
import { FAULTS, type Bed, type Fault } from './faults.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { openRestored } from './restored.ts';
import { startDocuments } from './writers.ts';

export type TruthOptions = { readonly faults: number; readonly seed: string; readonly directory: string; readonly say: (line: string) => void; readonly stack: AsyncDisposableStack; readonly longestMs?: number };
export type TruthResult = { readonly faults: number; readonly untrue: number; readonly seed: string; readonly found: readonly string[]; readonly ends: Readonly<Record<string, number>>; readonly compared: number; readonly seconds: number };

type Ended = { readonly id: string; readonly state: string; readonly failure: { readonly code: string; readonly message: string; readonly hint: string } | null; readonly result: { readonly point?: string; readonly startCommands?: string[][] } | null };
type Point = { readonly id: string; readonly checkpoint: ClusterTime; readonly proof?: { readonly ok: boolean } | null };
type Window = { readonly from: ClusterTime; readonly to: ClusterTime; readonly gaps: readonly unknown[] };
type Trial = { readonly bed: Bed & { ledger: Ledger; directory: string; binary: string }; readonly number: number; readonly untrue: (what: string) => void; compared: number };

const SET = 'rs0';
const KINDS = ['backup', 'backup', 'verify', 'restore', 'check', 'sweep'] as const;
const wholeCheck = ['repository', 'check', 'truth', '--read-data', '100'];
/** Nothing may go on for longer, whatever befell it. */
const endsWithinMs = 240_000;
/** Until the point that is made in the place of a bad one is good. */
const newPointMs = 300_000;

export async function truth(options: TruthOptions): Promise<TruthResult> {
  const startedMs = performance.now();
  const { stack, directory, seed, say } = options;
  const random = openRandom(seed, 'faults');
  const set = stack.use(await openReplicaSet({ name: SET, members: 3, directory: join(directory, 'set'), oplogSizeMb: 990 }));
  mkdirSync(join(directory, 'tidemark'));
  const volume = stack.use(await openLoopFileSystem('ext4', 1_500));
  const platform = stack.use(await openPlatform({ dataDir: join(directory, 'tidemark'), keptIn: [process.execPath] }));
  const place = join(volume.path, 'repository');
  const passphrase = join(directory, 'passphrase');
  writeFileSync(passphrase, `${randomId()}\n`, { mode: 0o600 });
  await platform.ok('repository', 'add', 'truth', place, '--passphrase-file', passphrase);
  await platform.ok('set', 'add', set.uri, '--name', SET, '--repository', 'truth');
  const ledger = openLedger();
  stack.use(await startDocuments(set, ledger, seed));
  await platform.ok('backup', 'run', SET);
  const found: string[] = [];
  const ends: Record<string, number> = {};
  const bed = { platform, set, random, place, volume: volume.path, ledger, directory, binary: set.binary };
  let [number, compared] = [0, 0];
  for (; number < options.faults && performance.now() - startedMs < (options.longestMs ?? Infinity); number++) {
    const fault = random.pick(FAULTS);
    const kind = random.pick(KINDS);
    const words = `trial ${number + 1}, ${kind}, ${fault.name}`;
    const trial: Trial = { bed, number, compared: 0, untrue: (what) => void found.push(`${words}: ${what}`) };
    const before = found.length;
    const state = await tryFault(trial, kind, fault).catch((error: unknown) => {
      trial.untrue(`the trial broke: ${(error as Error).message.slice(0, 600)}`);
      return 'broken';
    });
    compared += trial.compared;
    ends[`${fault.name}: ${state}`] = (ends[`${fault.name}: ${state}`] ?? 0) + 1;
    say(`${words}: ${state}${found.length === before ? '' : `  UNTRUE ${found.slice(before).join('; ')}`}`);
  }
  return { faults: number, untrue: found.length, seed, found, ends, compared, seconds: Math.round((performance.now() - startedMs) / 1000) };
}

async function tryFault(trial: Trial, kind: (typeof KINDS)[number], fault: Fault): Promise<string> {
  const { bed } = trial;
  const newest = await newestGood(bed.platform);
  const alarms = await alarmsOf(bed.platform);
  const id = await started(bed, kind, newest);
  await systemClock.wait(bed.random.int(kind === 'restore' ? 3_000 : 2_500));
  const undo = await fault.inflict(bed);
  const ended = await endOf(bed.platform, id);
  if (fault.damages !== true) await undo?.();
  await judge(trial, { kind, fault: undo === undefined ? FAULTS[0]! : fault, ended, newest });
  if (fault.damages === true) await undo?.();
  await judgeWindow(trial);
  if (fault.says === null) for (const says of await alarmsOf(bed.platform)) if (!alarms.includes(says)) trial.untrue(`an alarm that nothing caused: ${says}`);
  return undo === undefined ? `${ended.state} before it` : ended.state;
}

/** Asks until the server takes it: an alarm's own backup may be at work. */
async function started({ platform, directory, ledger, random }: Trial['bed'], kind: (typeof KINDS)[number], newest: Point): Promise<string> {
  const target = join(directory, `restored-${ledger.facts}`);
  const words = {
    backup: ['backup', 'run', SET],
    verify: ['point', 'verify', newest.id, '--full'],
    restore: ['restore', 'set', SET, '--at', random.pick(['latest', newest.id]), '--to-dir', `${target}:27999`, '--apply'],
    check: wholeCheck,
    sweep: ['repository', 'sweep', 'truth'],
  }[kind];
  return await until(`a ${kind} to be taken`, 180_000, async () => {
    const { code, json } = await platform.tidemark(...words, '--detach');
    return code === 0 ? (json.session as string) : undefined;
  }, { everyMs: 500 });
}

async function endOf(platform: Platform, id: string): Promise<Ended> {
  return await until(`session ${id} to end`, endsWithinMs, async () => {
    const { code, json } = await platform.tidemark('session', 'show', id);
    return code === 0 && ['success', 'warning', 'failed', 'stopped'].includes(json.state) ? (json as Ended) : undefined;
  }, { everyMs: 300 });
}

type Judged = { readonly kind: (typeof KINDS)[number]; readonly fault: Fault; readonly ended: Ended; readonly newest: Point };

async function judge(trial: Trial, { kind, fault, ended, newest }: Judged): Promise<void> {
  const { platform } = trial.bed;
  if (ended.state === 'failed') {
    const { code, message, hint } = ended.failure ?? { code: '', message: '', hint: '' };
    const said = `${message} [${code}] ${hint}`;
    if (fault.says === null) trial.untrue(`it failed without a reason: ${said}`);
    else if (!fault.says.test(`${code} ${message} ${hint}`)) trial.untrue(`its failure does not name the fault: ${said}`);
    if (kind === 'backup' && (await pointsOf(platform)).some((point) => point.id === ended.result?.point)) trial.untrue('it failed, and its point is listed');
    return;
  }
  if (ended.state === 'stopped') return trial.untrue('nobody stopped it');
  if (kind === 'restore') return await compareRestored(trial, ended);
  if (kind === 'check') return await judgeCheck(trial, fault, ended);
  const id = kind === 'backup' ? ended.result?.point : newest.id;
  const point = (await pointsOf(platform)).find((each) => each.id === id);
  if (point === undefined) return trial.untrue(`it ended well, and its point ${id} is not there`);
  if (point.proof?.ok !== true && ended.state === 'success') trial.untrue('it is called a success, and its point has no good proof');
  // What was read before it was damaged was proved rightly; now it may refuse to open, with that reason.
  await comparePublished(trial, point.checkpoint, 'the point', fault.damages === true ? fault.says : null);
}

/** Damage that came behind the place where a check read is found by the next one, and nothing else is. */
async function judgeCheck({ bed: { platform }, untrue }: Trial, fault: Fault, { state }: Ended): Promise<void> {
  if (fault.damages !== true) return state === 'success' ? undefined : untrue(`it warns of damage that nobody did: ${state}`);
  if (state !== 'success') return;
  const again = await platform.tidemark(...wholeCheck);
  if (again.code === 0) untrue('damage that is there was not found by a check that read everything');
}

async function judgeWindow(trial: Trial): Promise<void> {
  const { platform, set, random } = trial.bed;
  await set.settled();
  const window: Window = await until('the window to be told', 120_000, async () => {
    const { code, json } = await platform.tidemark('window', SET);
    return code === 0 ? (json as Window) : undefined;
  }, { everyMs: 500 });
  if (window.gaps.length > 0) trial.untrue(`its window has a gap that nothing made: ${JSON.stringify(window.gaps)}`);
  if (trial.number % 3 !== 0) return;
  const at = { t: window.from.t + random.int(Math.max(1, window.to.t - window.from.t)), i: 0x7fff_ffff };
  await comparePublished(trial, compareTimes(at, window.to) > 0 ? window.to : at, 'a moment in the window');
  const past = await platform.tidemark('publish', 'start', SET, '--at', `${window.to.t + 3_600},1`, '--no-users');
  if (past.code === 0) {
    trial.untrue('a moment past the end of its window was published');
    await platform.tidemark('publish', 'stop', String(past.json.id));
  }
}

/** `excused`: a reason that it may have for not opening. */
async function comparePublished(trial: Trial, at: ClusterTime, what: string, excused: RegExp | null = null): Promise<void> {
  const { platform, ledger } = trial.bed;
  const answer = await until('a publication to be taken', 120_000, async () => {
    const result = await platform.tidemark('publish', 'start', SET, '--at', showTime(at), '--no-users', '--expires', '10m');
    return result.code === 0 || !/session-running|lane/.test(result.stderr) ? result : undefined;
  }, { everyMs: 500 });
  if (answer.code !== 0) {
    const said = answer.stderr.slice(-500);
    if (excused?.test(said) !== true) trial.untrue(`${what} of ${showTime(at)} does not open: …${said}`);
    return;
  }
  try {
    const port = Number(new URL(String(answer.json.uri).replace('mongodb:', 'http:')).port);
    await using client = await openClient({ hosts: [{ host: '127.0.0.1', port }] }, { member: { host: '127.0.0.1', port }, silenceMs: null });
    judgeLedger(trial, await compareLedger(client, ledger, at), what);
  } finally {
    await platform.tidemark('publish', 'stop', String(answer.json.id));
  }
}

async function compareRestored(trial: Trial, { result }: Ended): Promise<void> {
  const { at, startCommands } = result as unknown as { at: ClusterTime; startCommands: string[][] };
  await using restored = await openRestored(trial.bed.binary, startCommands[0]!, 27999);
  judgeLedger(trial, await compareLedger(restored.client, trial.bed.ledger, at), 'what was restored');
}

function judgeLedger(trial: Trial, { checked, missing, later, wrong }: Awaited<ReturnType<typeof compareLedger>>, what: string): void {
  trial.compared += checked;
  const differing = [...missing, ...later, ...wrong];
  if (differing.length > 0) trial.untrue(`${what} differs from the ledger in ${differing.length} documents, such as ${differing.slice(0, 3).join('; ')}`);
}

/** A point that failed its proof is followed by a new one without anybody asking. */
async function newestGood(platform: Platform): Promise<Point> {
  return await until('a good point', newPointMs, async () => (await pointsOf(platform)).findLast((point) => point.proof?.ok === true), { everyMs: 500 });
}

async function alarmsOf(platform: Platform): Promise<string[]> {
  return await until('the alarms to be told', 120_000, async () => {
    const { code, json } = await platform.tidemark('set', 'show', SET);
    return code === 0 ? (json.alarms as { what: string; says: string }[]).map(({ what, says }) => `${what}: ${says}`) : undefined;
  }, { everyMs: 500 });
}

async function pointsOf(platform: Platform): Promise<Point[]> {
  return await until('the points to be listed', 120_000, async () => {
    const { code, json } = await platform.tidemark('point', 'list', SET);
    return code === 0 ? (json.points as Point[]) : undefined;
  }, { everyMs: 500 });
}
