/**
 * The warden's own time, which nobody can turn: what was seen to pass while this machine ran, added up.
 *
 *   within a boot       as much as the kernel's clock since the boot went on, which no setting of the clock moves
 *   after another boot  only as long as that has lasted. What was before, while the machine was off, is not counted: its only witness is the
 *                       clock that is set by whoever can set clocks. So every lock lasts longer by that, and never shorter.
 *
 * The clock of the day is only compared. One that went another way than the kernel's by more than a minute was turned,
 * back or ahead, and one that is earlier than before a boot was turned back: both raise an alarm and change nothing.
 * An operator who was at the machine may confirm the clock of the day (`confirm`); then it counts, if it is ahead.
 */
export type Readings = {
  /** The clock of the day. */
  readonly wallMs: number;
  /** Since this boot, time asleep included. */
  readonly bootMs: number;
  readonly bootId: string;
};

export type KeptTime = { readonly keptMs: number; readonly at: Readings };

export type Alarm = { readonly atMs: number; readonly says: string };

const toleranceMs = 60_000;
/** Away for longer than this is worth a word: the locks last as much longer. */
const longAwayMs = 86_400_000;

/** `floorMs`: a moment that was seen to have come, of the ledgers; it counts where nothing was kept, and no further than the clock of the day. */
export function passTo(before: KeptTime | undefined, now: Readings, floorMs: number): { time: KeptTime; alarm: Alarm | undefined } {
  if (before === undefined) {
    if (floorMs === 0) return { time: { keptMs: now.wallMs, at: now }, alarm: undefined };
    const says =
      floorMs > now.wallMs
        ? `a ledger is ahead of the clock by ${show(floorMs - now.wallMs)}, and the time that was kept is gone; it goes on from the clock`
        : 'the time that was kept is gone; it goes on from the last lock, so locks last longer';
    return { time: { keptMs: Math.min(floorMs, now.wallMs), at: now }, alarm: { atMs: now.wallMs, says } };
  }
  const isSameBoot = before.at.bootId === now.bootId;
  const passedMs = Math.max(0, isSameBoot ? now.bootMs - before.at.bootMs : now.bootMs);
  const keptMs = before.keptMs + passedMs;
  const turnedMs = now.wallMs - before.at.wallMs - passedMs;
  const alarm = (says: string): { time: KeptTime; alarm: Alarm } => ({ time: { keptMs, at: now }, alarm: { atMs: now.wallMs, says } });
  if (turnedMs < -toleranceMs) return alarm(`the clock was turned back by ${show(-turnedMs)}; locks go on by the time that passed`);
  if (isSameBoot && turnedMs > toleranceMs) return alarm(`the clock was turned ahead by ${show(turnedMs)}; locks go on by the time that passed`);
  if (turnedMs > longAwayMs) return alarm(`the machine was off for ${show(turnedMs)}, or its clock was turned ahead; locks last longer by that, unless "tidemark-warden confirm-clock" is run here`);
  return { time: { keptMs, at: now }, alarm: undefined };
}

/** Nothing goes back by it. */
export function confirm(time: KeptTime, confirmedMs: number): KeptTime {
  return { ...time, keptMs: Math.max(time.keptMs, Math.min(confirmedMs, time.at.wallMs)) };
}

/** What a lock with `leftMs` left does when only the clock of the day is turned: none may have less. For trials. */
export function rehearse(time: KeptTime, turnedMs: number): { leftsLess: boolean; isNoticed: boolean } {
  const { time: after, alarm } = passTo(time, { ...time.at, wallMs: time.at.wallMs + turnedMs }, 0);
  return { leftsLess: after.keptMs > time.keptMs, isNoticed: alarm !== undefined };
}

function show(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} minutes`;
  return minutes < 2 * 1440 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1440)} days`;
}
