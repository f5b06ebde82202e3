/**
 * What a killed run left on this host: locks and clones. Half-made clones go when the transport service starts; locks are
 * given back when the server is connected to it, once a minute from then on, and before a backup of that member begins.
 *
 * A lock is undone only when its marker says that it was ours and its guardian is dead; somebody else's lock is never
 * touched. Clones that were being made by a dead process go; a kept clone stays for the next copy.
 */
import type { MongoClient } from 'mongodb';
import { systemClock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { labelOfClient, mongoFailure, runCommand } from '../connect.ts';
import { freeBytes } from './clone-places.ts';
import { undoOrphan } from './guardian.ts';
import { dropClone, isBeingMade, listRecords } from './kept-clones.ts';
import { isGuarded, listMarkers, type LockMarker } from './lock-marker.ts';

const ENDING_MS = 3_000;

/** What a backup does first. Says what was undone, one sentence each. */
export async function undoLeftovers(options: { client: MongoClient; workDirectory: string; log: Log }): Promise<string[]> {
  const undone = [...(await undoLocks(options.client, options.workDirectory)), ...(await dropDeadClones(options.workDirectory))];
  for (const sentence of undone) options.log.warn(sentence);
  return undone;
}

/** Members that may still be under a lock of ours whose guardian is dead. */
export async function membersWithMarkers(workDirectory: string): Promise<string[]> {
  const markers = (await listMarkers(workDirectory)).filter(({ marker }) => !isGuarded(marker));
  return [...new Set(markers.map(({ marker }) => marker.member))];
}

/** Undoes locks of ours, without a living guardian, on the member that `client` talks to. */
export async function undoLocks(client: MongoClient, workDirectory: string): Promise<string[]> {
  const markers = await listMarkers(workDirectory);
  if (markers.length === 0) return [];
  const me = String((await runCommand(client, 'admin', { hello: 1 }))['me'] ?? '');
  const said: string[] = [];
  for (const { path, marker } of markers.filter((one) => one.marker.member === me)) {
    if (await isGuardedStill(marker)) continue;
    try {
      if ((await undoOrphan(client, path, marker.member, systemClock)) === 'unlocked') said.push(`undid a lock that a killed backup left on ${marker.member}`);
    } catch (error) {
      throw mongoFailure(error, labelOfClient(client), { command: 'fsyncUnlock', user: 'the user of the set' });
    }
  }
  return said;
}

/** A guardian whose parent was killed is about to end, and one that was killed takes a moment to be gone. */
async function isGuardedStill(marker: LockMarker): Promise<boolean> {
  for (const endsAt = systemClock.monotonicMs() + ENDING_MS; systemClock.monotonicMs() < endsAt; await systemClock.wait(50)) {
    if (!isGuarded(marker)) return false;
  }
  return true;
}

/** Removes clones whose maker died half-way. */
export async function dropDeadClones(workDirectory: string): Promise<string[]> {
  const dead = (await listRecords(workDirectory)).filter((clone) => clone.state === 'making' && !isBeingMade(clone));
  for (const clone of dead) await dropClone(workDirectory, clone);
  return dead.map((clone) => `removed the half-made clone ${clone.id} of ${clone.dbPath}`);
}

/** Drops kept clones on volumes that run full: the next copy then reads everything. Cheap enough to be asked every minute. */
export async function dropClonesWhereTight(workDirectory: string, log: Log): Promise<string[]> {
  const dropped: string[] = [];
  for (const clone of (await listRecords(workDirectory)).filter((one) => one.state === 'kept')) {
    const room = await freeBytes(clone.dbPath).catch(() => undefined);
    if (room === undefined || room.free >= room.total / 20) continue;
    await dropClone(workDirectory, clone);
    dropped.push(`dropped the clone ${clone.id}: less than 5 % of the volume of ${clone.dbPath} are free`);
    log.warn(dropped.at(-1)!);
  }
  return dropped;
}
