/**
 * The events of one task, kept for whoever watches it from any number on, though nobody did for hours.
 *
 * A follower says each second how far it is, for months: past `roomyTo` only what nothing later has taken the place of is kept. Lines, steps
 * and notices (`broken`, `barrier`, `hole`) stay, because nobody says them again; past `most` the oldest of all go. Numbers stay as they
 * were given, so what is kept has gaps.
 */
import type { TaskEvent } from '../contract/tasks.ts';

export type KeptEvent = { readonly number: number; readonly event: TaskEvent };

export type KeptEvents = {
  add(event: TaskEvent): void;
  /** The first one from this number on that is kept. */
  from(number: number): KeptEvent | undefined;
};

const usual = { roomyTo: 2_000, most: 20_000 };

export function openKeptEvents({ roomyTo, most } = usual): KeptEvents {
  let kept: KeptEvent[] = [];
  let given = 0;
  let thinAt = roomyTo;
  return {
    add(event) {
      kept.push({ number: ++given, event });
      if (kept.length <= thinAt) return;
      kept = standing(kept).slice(-most);
      thinAt = Math.max(roomyTo, kept.length + roomyTo / 2);
    },
    from(number) {
      let [low, high] = [0, kept.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (kept[middle]!.number < number) low = middle + 1;
        else high = middle;
      }
      return kept[low];
    },
  };
}

/** Without those whose place a later one has taken. */
function standing(events: readonly KeptEvent[]): KeptEvent[] {
  const newest = new Map(events.flatMap(({ number, event }) => {
    const place = placeOf(event);
    return place === undefined ? [] : [[place, number] as const];
  }));
  return events.filter(({ number, event }) => {
    const place = placeOf(event);
    return place === undefined || newest.get(place) === number;
  });
}

/** What takes the place of what; undefined: nothing does. Each stretch of a chain is told of by its own last word, by which the server knows where it ended. */
function placeOf(event: TaskEvent): string | undefined {
  if (event.kind === 'progress') return 'progress';
  if (event.kind !== 'status') return undefined;
  if (event.key === 'reach') return 'reach';
  if (event.key !== 'chain') return undefined;
  const { chain, since } = (event.value ?? {}) as { chain?: unknown; since?: unknown };
  return JSON.stringify([chain, since]);
}
