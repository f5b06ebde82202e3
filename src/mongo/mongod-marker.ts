/**
 * Markers of our own mongods: who they are, so that a later start finds what a killed one left.
 *
 * A marker holds pid, the start time of that process from /proc (a pid alone may be another process by now) and the
 * dbPath it was given. Only a process that agrees in all three is ended: a foreign one never does.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { until } from '../base/deadline.ts';
import type { Log } from '../base/log.ts';

const SUFFIX = '.mongod-marker';
type Marker = { readonly pid: number; readonly startTime: string; readonly dbPath: string };

/** Writes the marker; the answer removes it. */
export function markMongod(directory: string, mongod: { pid: number; dbPath: string }): () => void {
  const path = join(directory, `${mongod.pid}${SUFFIX}`);
  const marker: Marker = { ...mongod, startTime: startTimeOf(mongod.pid) ?? '' };
  writeFileSync(path, JSON.stringify(marker), { mode: 0o600 });
  return () => rmSync(path, { force: true });
}

/** Ends the mongods that a killed run left under `workDirectory`. Answers their data directories. */
export async function removeStaleMongods(workDirectory: string, log: Log): Promise<string[]> {
  const ended: string[] = [];
  for (const path of markersUnder(workDirectory, 4)) {
    const marker = readMarker(path);
    if (marker !== undefined && isTheOne(marker)) {
      log.warn('ending a mongod that a killed run left', { pid: marker.pid, dbPath: marker.dbPath });
      process.kill(marker.pid, 'SIGKILL');
      await until(`the end of mongod ${marker.pid}`, 30_000, () => (isTheOne(marker) ? undefined : true));
      ended.push(marker.dbPath);
    }
    rmSync(path, { force: true });
  }
  return ended;
}

function isTheOne({ pid, startTime, dbPath }: Marker): boolean {
  if (startTime === '' || startTimeOf(pid) !== startTime) return false;
  const argv = argumentsOf(pid);
  return argv.includes(dbPath) && argv.includes('--dbpath');
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; undefined when the process is gone or a zombie. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function readMarker(path: string): Marker | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Marker;
  } catch {
    return undefined;
  }
}

function markersUnder(directory: string, depth: number): string[] {
  if (depth === 0 || !existsSync(directory)) return [];
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return markersUnder(path, depth - 1);
    return entry.isFile() && entry.name.endsWith(SUFFIX) ? [path] : [];
  });
}
