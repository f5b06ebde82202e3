/**
 * Lists that lag. A list may be an earlier state of the place: of an S3 store that serves listings from a copy, of a file server with a
 * cache. What is asked for by its name is there, and the list does not have it yet; what is deleted stands in it.
 *
 * Whoever decides something by what a list does *not* have makes sure first that it is new enough: an object that was stored at the moment
 * it must know of has to be in it. A list that has that object has everything that was stored, and lacks everything that was deleted, before it, and
 * so has every later list. Where lists do not lag, as in every place that keeps its promises, that costs one list of one name.
 */
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { listBehind } from './failures.ts';
import type { Storage } from './storage/storage.ts';

export type FreshListOptions = { readonly clock?: Clock; readonly signal?: AbortSignal; readonly waitMs?: number };

const waitMsByDefault = 5 * 60_000;
const lookEveryMs = 500;

/** Resolves once a list has each of these objects, which are there. */
export async function awaitListed(storage: Storage, names: readonly string[], options: FreshListOptions = {}): Promise<void> {
  for (const name of names) await awaitList(storage, name, async () => (await isListed(storage, name)) || (await storage.stat(name)) === undefined, options);
}

/** Resolves once no list has these objects, which are deleted. */
export async function awaitUnlisted(storage: Storage, names: readonly string[], options: FreshListOptions = {}): Promise<void> {
  for (const name of names) await awaitList(storage, name, async () => !(await isListed(storage, name)), options);
}

async function awaitList(storage: Storage, object: string, isNew: () => Promise<boolean>, { clock = systemClock, signal, waitMs = waitMsByDefault }: FreshListOptions): Promise<void> {
  const startedMs = clock.monotonicMs();
  while (!(await isNew())) {
    if (clock.monotonicMs() - startedMs >= waitMs) throw listBehind({ place: storage.place, object, seconds: Math.round(waitMs / 1000) });
    await clock.wait(lookEveryMs, signal);
  }
}

async function isListed(storage: Storage, name: string): Promise<boolean> {
  for await (const found of storage.list(name)) if (found.name === name) return true;
  return false;
}
