/**
 * What time it is at the latest, as far as a server can know (docs/design/retention.md, "Which time it is").
 *
 * The clock on the wall may be set to any time, by hand, by a battery that ran out, by a time server. The time that a process lives through
 * cannot. So time that was lived through is believed at once, and a leap of the wall clock ahead only when it has
 * stood for as long as it is: whoever sets it back before that has had no point aged by it. A time during which the server was not there
 * looks the same as a leap, and is treated so.
 */

/** A leap ahead that is not believed yet, and for how long the clock has gone on from it. */
export type Leap = { readonly aheadMs: number; readonly stoodMs: number };
export type BelievedTime = { /** It is believed to have come. */ readonly confirmedMs: number; /** The oldest first. */ readonly leaps: readonly Leap[] };

/** Corrections up to this, and starts that are as quick, are nobody's mistake. */
export const smallestLeapMs = 3_600_000;

/** `livedMs`: by a clock that cannot be set, since the last time this was asked. */
export function believe({ confirmedMs, leaps }: BelievedTime, wallMs: number, livedMs: number): BelievedTime {
  const expectedMs = leaps.reduce((sum, { aheadMs }) => sum + aheadMs, confirmedMs + livedMs);
  const offMs = wallMs - expectedMs;
  const isLeap = offMs > smallestLeapMs;
  const stood = takenBack(leaps, Math.max(0, -offMs)).map(({ aheadMs, stoodMs }) => ({ aheadMs, stoodMs: stoodMs + livedMs }));
  const proven = stood.filter(({ aheadMs, stoodMs }) => stoodMs >= aheadMs);
  return {
    confirmedMs: proven.reduce((sum, { aheadMs }) => sum + aheadMs, confirmedMs + livedMs + (isLeap ? 0 : Math.max(0, offMs))),
    leaps: [...stood.filter((leap) => !proven.includes(leap)), ...(isLeap ? [{ aheadMs: offMs, stoodMs: 0 }] : [])],
  };
}

/** A clock that is set back takes back the newest leaps first. */
function takenBack(leaps: readonly Leap[], backMs: number): Leap[] {
  const left: Leap[] = [];
  for (const leap of leaps.toReversed()) {
    const taken = Math.min(backMs, leap.aheadMs);
    backMs -= taken;
    if (leap.aheadMs - taken > 0) left.unshift({ ...leap, aheadMs: leap.aheadMs - taken });
  }
  return left;
}

/** Never later than the clock says: one that is behind makes nothing older. */
export function believedNow({ confirmedMs }: BelievedTime, wallMs: number): number {
  return Math.min(wallMs, confirmedMs);
}
