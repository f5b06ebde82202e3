/**
 * Copies of the configuration of servers that use this repository, opaque to it: `server/<installation>/<time id>`. The new one is durable
 * before old ones go, and one that may not be deleted yet stays. The newest stay, and behind them one of each hour and one of each day: however
 * often something is changed, a mistake of last week can be undone.
 */
import { isFailure } from '../base/failure.ts';
import type { Storage } from './storage/storage.ts';

const prefix = 'server/';
const keptHours = 24;
const keptDays = 30;
const hourMs = 3_600_000;

/** Answers the name that a recovery would take. */
export async function keepConfiguration(storage: Storage, name: string, bytes: Uint8Array, keep: number): Promise<string> {
  await storage.put(name, bytes, 'new');
  const names = (await listConfigurations(storage)).filter((one) => one.startsWith(name.slice(0, name.lastIndexOf('/') + 1)));
  const kept = keptOf(names, keep);
  for (const old of names.filter((one) => !kept.has(one))) {
    try {
      await storage.delete(old);
    } catch (error) {
      if (!isFailure(error)) throw error;
      break;
    }
  }
  return names[0] ?? name;
}

/** Of names with the newest first: that many, and the newest of each of the last hours and days that have one. By no clock: one that jumps ages nothing. */
export function keptOf(names: readonly string[], newest: number): Set<string> {
  const kept = new Set(names.slice(0, newest));
  for (const [count, ms] of [[keptHours, hourMs], [keptDays, 24 * hourMs]] as const) {
    const first = new Map<number, string>();
    for (const name of names) {
      const period = Math.floor(Number.parseInt(timeOf(name).slice(0, 12), 16) / ms);
      if (!first.has(period) && first.size < count) first.set(period, name);
    }
    for (const name of first.values()) kept.add(name);
  }
  return kept;
}

const timeOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** Their names, the newest first. */
export async function listConfigurations(storage: Storage): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(prefix)) names.push(name);
  return names.sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
}
