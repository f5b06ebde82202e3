/** What is promised of a set, and whether it is protected so; where it is not, each reason as a sentence. */
import { nextOpening, nextRuns, type PolicySchedule } from './schedule.ts';
import { weekdays } from './rescan-schedule.ts';

export type Promised = { readonly lossSeconds: number; readonly pointHours: number };
export const usualPromise: Promised = { lossSeconds: 900, pointHours: 25 };

const hourMs = 3_600_000;
/** What a run may take, or wait for its turn. */
const spareHours = 1;
const runsAhead = 40;

/** How old the newest point may become by a schedule that is kept: its longest pause and an hour. Null: the clock starts no run. */
export function pointHoursOf(schedule: PolicySchedule, timeZone: string, nowMs: number): number | null {
  switch (schedule.kind) {
    case 'manual':
    case 'after':
      return null;
    case 'continuous':
      return schedule.hours === null ? usualPromise.pointHours : hoursOf(longestClosedMs(schedule, timeZone, nowMs));
    case 'every':
      return hoursOf(schedule.minutes * 60_000 + longestClosedMs(schedule, timeZone, nowMs));
    case 'daily':
    case 'monthly': {
      const runs = nextRuns(schedule, timeZone, nowMs, runsAhead);
      return runs.length < 2 ? null : hoursOf(Math.max(...runs.slice(1).map((run, at) => run - runs[at]!)));
    }
  }
}

const hoursOf = (ms: number): number => Math.ceil(ms / hourMs) + spareHours;

function longestClosedMs({ hours, days = weekdays }: { hours: { from: string; to: string } | null; days?: readonly (typeof weekdays)[number][] }, timeZone: string, nowMs: number): number {
  const window = { ...(hours ?? { from: '00:00', to: '00:00' }), days };
  let longest = 0;
  let opening = nextOpening(window, timeZone, nowMs);
  for (let looked = 0; opening !== null && looked < 2 * weekdays.length; looked++) {
    const next = nextOpening(window, timeZone, opening.closesMs);
    longest = Math.max(longest, (next?.opensMs ?? opening.closesMs) - opening.closesMs);
    opening = next;
  }
  return longest;
}

/** Of what several policies promise of one set, each of the two at its strictest. */
export function strictest(promises: readonly Promised[], usual: Promised): Promised {
  const of = (field: keyof Promised): number => {
    const least = Math.min(...promises.map((promise) => promise[field]));
    return Number.isFinite(least) ? least : usual[field];
  };
  return { lossSeconds: of('lossSeconds'), pointHours: of('pointHours') };
}

export type ProtectionFacts = {
  /** The newest point that is there and that was opened. */
  readonly lastPointMs: number | null;
  /** The newest point there is failed its proof. */
  readonly newestIsBad: boolean;
  /** Points of after it that nobody has opened. */
  readonly unproved: number;
  /** Anything of its oplog. */
  readonly isArchived: boolean;
  /** Since the newest moment that a good point leads to. */
  readonly lossSeconds: number | null;
  /** What is archived now needs a new base: since when, and the alarm that asks for one. */
  readonly outOfReach: { readonly afterMs: number | null; readonly alarm: string | null } | null;
  readonly oplogState: string;
};
export type Protection = { readonly isProtected: boolean; readonly reasons: readonly string[] };

export function judgeProtection(facts: ProtectionFacts, promised: Promised, nowMs: number): Protection {
  const reasons: string[] = [];
  const unproved = facts.unproved === 0 ? '' : `, and ${facts.unproved} newer ${facts.unproved === 1 ? 'one was' : 'ones were'} never opened to prove them`;
  if (facts.lastPointMs === null) reasons.push(`there is no good restore point${unproved}`);
  else if (nowMs - facts.lastPointMs > promised.pointHours * 3_600_000) reasons.push(`the newest good restore point is ${showAge(nowMs - facts.lastPointMs)} old; promised are ${promised.pointHours} h${unproved}`);
  if (facts.newestIsBad) reasons.push('the newest restore point did not open when it was proved');
  if (!facts.isArchived) reasons.push('no oplog is archived');
  if (facts.outOfReach !== null && facts.lastPointMs !== null) reasons.push(showOutOfReach(facts.outOfReach));
  if (facts.lossSeconds !== null && facts.lossSeconds > promised.lossSeconds) reasons.push(`${showAge(facts.lossSeconds * 1000)} would be lost now; promised are ${showAge(promised.lossSeconds * 1000)}`);
  if (facts.oplogState === 'paused') reasons.push('an operator has paused the oplog: nothing is archived');
  if (facts.oplogState === 'broken') reasons.push('the chain of the archived oplog is broken');
  return { isProtected: reasons.length === 0, reasons };
}

function showOutOfReach({ afterMs, alarm }: NonNullable<ProtectionFacts['outOfReach']>): string {
  const what = afterMs === null ? 'nothing of the archived oplog' : `nothing written after ${new Date(afterMs).toISOString()}`;
  return `${what} can be restored before a new restore point is there${alarm === null ? '' : ` (${alarm})`}`;
}

/** Rounded down to what people say: `35 s`, `12 min`, `7 h`, `3 d`. */
export function showAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
