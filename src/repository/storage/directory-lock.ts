/** Files of a directory that the host's warden locks (docs/design/immutable.md): its flag keeps everybody from changing or deleting them. */
import type { Clock } from '../../base/clock.ts';
import { lockNotKept } from '../failures.ts';
import { dayMs } from '../immutable.ts';
import type { Immutable, PlaceFinding, Retention } from './storage.ts';
import { askWarden, wardenSocket } from './warden-line.ts';

/** Kept longer by a tenth than was promised, so that what every point needs is not retained anew by every point. */
export const keptLonger = 1.1;

const shortestMs = 60_000;

export function directoryLock(place: string, immutable: Immutable, clock: Clock, socket = wardenSocket): Required<Retention> {
  const leastMs = immutable.days * dayMs;
  if (immutable.mode !== null) throw lockNotKept({ place, what: 'a lock mode is a bucket\'s' });
  const until: Required<Retention>['until'] = async (names) => {
    if (names.length === 0) return [];
    const { leftMs } = await askWarden(socket, { ask: 'until', place, names });
    return leftMs.map((left) => (left === null ? null : clock.now() + left));
  };
  return {
    ...immutable,
    async retain(names) {
      if (names.length > 0) await askWarden(socket, { ask: 'retain', place, names, leastMs, forMs: leastMs * keptLonger });
    },
    until,
    async tryLock(name): Promise<PlaceFinding[]> {
      await askWarden(socket, { ask: 'retain', place, names: [name], leastMs: shortestMs, forMs: shortestMs });
      return (await askWarden(socket, { ask: 'look', place })).findings;
    },
  };
}

/** Before a repository is made: the place is in a warden's care, and its file system keeps locks. */
export async function requireWarden(place: string, socket = wardenSocket): Promise<void> {
  const bad = (await askWarden(socket, { ask: 'look', place })).findings.find(({ level }) => level === 'bad');
  if (bad !== undefined) throw lockNotKept({ place, what: `${bad.what}: ${bad.says}` });
}
