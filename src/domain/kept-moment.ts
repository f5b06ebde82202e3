/**
 * Moments that were written down, perhaps by a clock that was ahead and has been set right since.
 *
 * One that lies in the future says nothing of when it was: it counts as now. Whoever waits for it to grow older writes that
 * down, because what counts as now whenever it is looked at never does.
 */

/** `aheadMs`: how far ahead a right clock may have written it, a wait. */
export function countsAs(keptMs: number, nowMs: number, aheadMs = 0): number {
  return keptMs > nowMs + aheadMs ? nowMs : keptMs;
}
