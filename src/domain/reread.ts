/**
 * The re-read of a repository: all its objects in so many parts, each read again within so many days (docs/design/verification.md).
 *
 * A part is due a whole round of days after the moment for which it was read, not after the reading itself: else each night would be a little
 * later than the one before, and a round would grow by a day.
 */
export type RereadParts = {
  /** When each part is due. */
  readonly due: readonly number[];
  /** When each was read last; null: not yet. */
  readonly read: readonly (number | null)[];
};

const dayMs = 86_400_000;
/** Summer time moves a night by an hour. */
const slackMs = dayMs / 2;

/** One part for each day; the first is due at once. */
export function freshParts(days: number, nowMs: number): RereadParts {
  return { due: Array.from({ length: days }, (_, part) => nowMs + part * dayMs), read: Array.from({ length: days }, () => null) };
}

/** What is read in the night of a moment: what is due, the longest due first, and at most a quarter of all. */
export function partsOfNight({ due }: RereadParts, nightMs: number): number[] {
  const owed = [...due.keys()].filter((part) => due[part]! <= nightMs + slackMs).sort((a, b) => due[a]! - due[b]! || a - b);
  return owed.slice(0, Math.max(1, Math.ceil(due.length / 4)));
}

export function withRead({ due, read }: RereadParts, parts: readonly number[], nightMs: number, nowMs: number): RereadParts {
  const isRead = new Set(parts);
  return { due: due.map((at, part) => (isRead.has(part) ? nightMs + due.length * dayMs : at)), read: read.map((at, part) => (isRead.has(part) ? nowMs : at)) };
}

/** Since when everything was read at least once; null while something never was. */
export function readSince({ read }: RereadParts): number | null {
  const times = read.filter((at) => at !== null);
  return times.length < read.length ? null : Math.min(...times);
}
