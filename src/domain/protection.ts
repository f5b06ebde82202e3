/** Whether a set is protected as promised; where it is not, each reason as a sentence. */

export type Promised = { readonly lossSeconds: number; readonly pointHours: number };
export const usualPromise: Promised = { lossSeconds: 900, pointHours: 25 };

export type ProtectionFacts = {
  /** The newest point that is there and whose proof, if it has one, held. */
  readonly lastPointMs: number | null;
  /** The newest point there is failed its proof. */
  readonly newestIsBad: boolean;
  readonly lossSeconds: number | null;
  readonly oplogState: string;
};
export type Protection = { readonly isProtected: boolean; readonly reasons: readonly string[] };

export function judgeProtection(facts: ProtectionFacts, promised: Promised, nowMs: number): Protection {
  const reasons: string[] = [];
  if (facts.lastPointMs === null) reasons.push('there is no good restore point');
  else if (nowMs - facts.lastPointMs > promised.pointHours * 3_600_000) reasons.push(`the newest good restore point is ${showAge(nowMs - facts.lastPointMs)} old; promised are ${promised.pointHours} h`);
  if (facts.newestIsBad) reasons.push('the newest restore point did not open when it was proved');
  if (facts.lossSeconds === null) reasons.push('no oplog is archived');
  else if (facts.lossSeconds > promised.lossSeconds) reasons.push(`${showAge(facts.lossSeconds * 1000)} would be lost now; promised are ${showAge(promised.lossSeconds * 1000)}`);
  if (facts.oplogState === 'paused') reasons.push('an operator has paused the oplog: nothing is archived');
  if (facts.oplogState === 'broken') reasons.push('the chain of the archived oplog is broken');
  return { isProtected: reasons.length === 0, reasons };
}

/** Rounded down to what people say: `35 s`, `12 min`, `7 h`, `3 d`. */
export function showAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
