/**
 * A trial of a storage before it is trusted: does it keep the promises of storage/storage.ts, and how fast is it?
 *
 * Everything is written as tidemark-trial/<random>-… and deleted at the end; a directory keeps an empty folder. A promise that is not kept is an answer, with
 * what was seen; the trial fails only where the place cannot be reached or written at all.
 */
import { randomFillSync } from 'node:crypto';
import { systemClock, type Clock } from '../base/clock.ts';
import { isFailure, sentenceOf } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import { objectRetained } from './failures.ts';
import type { PlaceFinding, Storage } from './storage/storage.ts';

export type TrialSpeed = { readonly what: string; readonly bytes: number; readonly writeSeconds: number; readonly readSeconds: number };
export type TrialReport = { readonly ok: boolean; readonly findings: PlaceFinding[]; readonly speeds: TrialSpeed[]; readonly freeBytes: number | null; readonly clockApartMs: number };

export type TrialOptions = { /** Of the largest object. */ readonly bytes: number; readonly clock?: Clock; readonly signal?: AbortSignal; readonly onStep?: (step: string) => void };

/** Where trials of locks lie until they are over. */
const lockTrials = 'tidemark-trial/locked-';
const lockKept = 'what is retained stays';
const pieceBytes = 1 << 20;
const smallBytes = 4 << 10;
const smalls = 64;
const atOnce = 8;
/** Leases count for sixteen minutes; a file time that is further off would make the living look dead. */
const clockLimitMs = 5 * 60_000;

export async function tryStorage(storage: Storage, options: TrialOptions): Promise<TrialReport> {
  const { clock = systemClock, signal, onStep = () => {} } = options;
  const root = `tidemark-trial/${randomId()}-`;
  const trial: Trial = { storage, clock, root, at: (name) => root + name, findings: [], speeds: [] };
  const step = (what: string): void => {
    signal?.throwIfAborted();
    onStep(what);
  };
  try {
    step('write and read small objects');
    const clockApartMs = await trySmall(trial);
    step('write and read a large object');
    await tryLarge(trial, options.bytes, signal);
    step('two writers of one name');
    await tryNames(trial);
    step('list');
    await tryList(trial);
    step('what the place does by itself');
    trial.findings.push(...((await storage.findings?.()) ?? []));
    if (storage.retention?.tryLock !== undefined) {
      step('lock');
      await tryLock(trial, storage.retention.tryLock);
    }
    const isOk = trial.findings.every(({ level }) => level !== 'bad');
    return { ok: isOk, findings: trial.findings, speeds: trial.speeds, freeBytes: await storage.freeBytes(), clockApartMs };
  } finally {
    await clean(trial);
  }
}

type Trial = { readonly storage: Storage; readonly clock: Clock; readonly root: string; readonly at: (name: string) => string; readonly findings: PlaceFinding[]; readonly speeds: TrialSpeed[] };

function kept({ findings }: Trial, what: string, isKept: boolean, seen: string): void {
  findings.push({ what, level: isKept ? 'good' : 'bad', says: isKept ? 'kept' : seen });
}

async function timed<T>(clock: Clock, work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const startedMs = clock.monotonicMs();
  const value = await work();
  return { value, seconds: (clock.monotonicMs() - startedMs) / 1000 };
}

/** Also the clock: the time that the place gives to what is written now. */
async function trySmall(trial: Trial): Promise<number> {
  const { storage, clock, at } = trial;
  const wanted = Array.from({ length: smalls }, () => randomFillSync(Buffer.allocUnsafe(smallBytes)));
  const beforeMs = clock.now();
  const written = await timed(clock, async () => await inBatches(wanted, async (bytes, k) => void (await storage.put(at(`small-${k}`), bytes, 'new'))));
  const afterMs = clock.now();
  let isEqual = true;
  const read = await timed(clock, async () => await inBatches(wanted, async (bytes, k) => void (isEqual &&= Buffer.from(await storage.read(at(`small-${k}`))).equals(bytes))));
  trial.speeds.push({ what: `${smalls} objects of 4 KiB`, bytes: smalls * smallBytes, writeSeconds: written.seconds, readSeconds: read.seconds });
  kept(trial, 'what is written can be read at once', isEqual, 'other bytes came back');
  const modifiedMs = (await storage.stat(at('small-0')))?.modifiedMs ?? 0;
  // Many places keep whole seconds.
  const apartMs = modifiedMs < beforeMs - 1000 ? modifiedMs - beforeMs : Math.max(0, modifiedMs - afterMs - 1000);
  const seconds = Math.round(apartMs / 1000);
  trial.findings.push({ what: 'clock', level: Math.abs(apartMs) < clockLimitMs ? 'good' : 'bad', says: seconds === 0 ? 'as here' : `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead'}` });
  return apartMs;
}

async function tryLarge(trial: Trial, bytes: number, signal: AbortSignal | undefined): Promise<void> {
  const { storage, clock, at } = trial;
  const name = at('large');
  const piece = randomFillSync(Buffer.allocUnsafe(pieceBytes));
  const count = Math.max(1, Math.round(bytes / pieceBytes));
  // Each piece is told from the others by its first bytes.
  const marked = (k: number): Buffer => {
    piece.writeUInt32LE(k);
    return piece;
  };
  let isSeen = false;
  const written = await timed(clock, async () => {
    const writer = await storage.create(name);
    try {
      for (let k = 0; k < count; k++) {
        signal?.throwIfAborted();
        await writer.append(marked(k));
      }
      isSeen = (await storage.stat(name)) !== undefined;
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  });
  kept(trial, 'an object is not seen before it is whole', !isSeen, 'it was listed while it was written');
  let isEqual = true;
  const read = await timed(clock, async () => {
    await inBatches(Array.from({ length: count }), async (_, k) => {
      const got = Buffer.from(await storage.read(name, { from: k * pieceBytes, bytes: pieceBytes }));
      isEqual &&= got.readUInt32LE() === k && got.subarray(4).equals(piece.subarray(4));
    });
  });
  kept(trial, 'a range of an object is exactly that range', isEqual, 'other bytes came back');
  trial.speeds.push({ what: `one object of ${count} MiB`, bytes: count * pieceBytes, writeSeconds: written.seconds, readSeconds: read.seconds });
}

async function tryNames(trial: Trial): Promise<void> {
  const { storage, at } = trial;
  const name = at('name');
  const answers = await Promise.all(
    Array.from({ length: atOnce }, async (_, k) => {
      try {
        return await storage.put(name, Buffer.from([k]), 'new');
      } catch (error) {
        if (!isFailure(error)) throw error;
        return sentenceOf(error);
      }
    }),
  );
  const winner = answers.indexOf('stored');
  const isOne = answers.filter((answer) => answer === 'stored').length === 1 && answers.filter((answer) => answer === 'exists').length === atOnce - 1;
  const isWinners = isOne && (await storage.read(name))[0] === winner;
  const odd = answers.find((answer) => answer !== 'stored' && answer !== 'exists');
  kept(trial, 'of several writers of one name exactly one writes it', isWinners, odd ?? `${answers.filter((answer) => answer === 'stored').length} of ${atOnce} were told that they wrote it`);
  await storage.put(name, Buffer.from('again'), 'replace');
  kept(trial, 'what is replaced reads as the new one', Buffer.from(await storage.read(name)).toString() === 'again', 'the old one came back');
  await storage.delete(name);
  kept(trial, 'what is deleted is gone', (await storage.stat(name)) === undefined, 'it is still there');
}

async function tryList(trial: Trial): Promise<void> {
  const { storage, at } = trial;
  const found = new Map<string, number>();
  for await (const { name, bytes } of storage.list(at('small-'))) found.set(name, bytes);
  const isWhole = found.size === smalls && [...found.values()].every((bytes) => bytes === smallBytes);
  kept(trial, 'a list has everything that was written', isWhole, `${found.size} of ${smalls} objects are listed`);
}

/** The object stays for a minute; the next trial deletes it. */
async function tryLock(trial: Trial, lock: (name: string) => Promise<PlaceFinding[]>): Promise<void> {
  const { storage } = trial;
  const name = `${lockTrials}${randomId()}`;
  await storage.put(name, Buffer.from('locked'), 'new');
  trial.findings.push(...(await lock(name)));
  if (trial.findings.some(({ what }) => what === lockKept)) return await storage.delete(name);
  const isRefused = async (work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return false;
    } catch (error) {
      if (!isFailure(error, objectRetained)) throw error;
      return true;
    }
  };
  const isKept = (await isRefused(async () => await storage.delete(name))) && (await isRefused(async () => await storage.put(name, Buffer.from('other'), 'replace')));
  kept(trial, lockKept, isKept && Buffer.from(await storage.read(name)).toString() === 'locked', 'it was deleted or replaced');
}

async function inBatches<T>(items: readonly T[], work: (item: T, k: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += atOnce) await Promise.all(items.slice(from, from + atOnce).map(async (item, k) => await work(item, from + k)));
}

async function clean({ storage, root }: Trial): Promise<void> {
  try {
    for await (const { name } of storage.list(lockTrials)) await storage.delete(name).catch(() => {});
    const names: string[] = [];
    for await (const { name } of storage.list(root)) names.push(name);
    await inBatches(names, async (name) => await storage.delete(name));
  } catch {
    // The trial's own failure says more; what is left is small and nobody reads it.
  }
}
