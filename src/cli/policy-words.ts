/** The words of `policy add`, `edit` and `preview` as the contract has them, and back. */
import type { GivenPolicy, PolicyDocument, PolicySchedule, Retention, Verification } from '../contract/policies.ts';
import type { RouteAnswer } from '../contract/routes.ts';
import type { OplogMerged } from '../contract/values.ts';
import { isGiven, listOf, textOf, type Invocation } from './command.ts';
import { plural, showMoment } from './format.ts';
import { bandwidthFrom } from './limit-words.ts';
import { hoursFrom, numberOf, timeOfDay, usageOf, type Hours } from './numbers.ts';

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
type Weekday = (typeof weekdays)[number];
const nths: Readonly<Record<string, 1 | 2 | 3 | 4 | 'last'>> = { first: 1, second: 2, third: 3, fourth: 4, last: 'last' };

function oplogOf(words: Invocation): Partial<Retention> {
  if (textOf(words, 'oplogKeep') === undefined) return {};
  if (textOf(words, 'oplogKeep') === 'points') return { oplog: { kind: 'points' } };
  return { oplog: { kind: 'days', days: numberOf(words, 'oplogKeep', { from: 1, to: 36_500 })! } };
}

/** What was given, in place of what the document says. */
export function changedBy(words: Invocation, document: GivenPolicy): GivenPolicy {
  const [sets, groups] = [listOf(words, 'set'), listOf(words, 'group')];
  const [description, timeZone, compression] = [textOf(words, 'description'), textOf(words, 'timeZone'), textOf(words, 'compression')];
  const preferred = listOf(words, 'prefer').map((text) => preferenceOf(words, text));
  const overrides = { ...document.overrides, ...Object.fromEntries(preferred.map(([set, preferredNode]) => [set, { ...document.overrides?.[set], preferredNode }])) };
  const [times, minutes, lag] = [numberOf(words, 'retry', { from: 0, to: 20 }), numberOf(words, 'retryMinutes', { from: 1, to: 1440 }), numberOf(words, 'lagLimit', { from: 1, to: 86_400 })];
  const [pointHours, lossMinutes] = [numberOf(words, 'promiseHours', { from: 1, to: 100_000 }), numberOf(words, 'promiseLoss', { from: 1, to: 525_600 })];
  const bandwidth = bandwidthFrom(words, listOf(words, 'bandwidth'));
  const schedule = scheduleOf(words);
  const verified = verificationOf(words);
  return {
    ...document,
    ...(sets.length > 0 && { sets }),
    ...(groups.length > 0 && { groups }),
    ...(description !== undefined && { description }),
    ...(schedule !== undefined && { schedule }),
    ...(timeZone !== undefined && { timeZone }),
    ...(compression !== undefined && { compression: compression as PolicyDocument['compression'] }),
    ...(bandwidth !== undefined && { bandwidth }),
    ...(textOf(words, 'priority') !== undefined && { highPriority: textOf(words, 'priority') === 'high' }),
    ...(textOf(words, 'window') !== undefined && { window: windowOf(words) }),
    ...(textOf(words, 'proof') !== undefined && { proof: textOf(words, 'proof') as PolicyDocument['proof'] }),
    ...(textOf(words, 'newBase') !== undefined && { newBase: textOf(words, 'newBase') === 'yes' }),
    overrides,
    retry: { ...document.retry, ...(times !== undefined && { times }), ...(minutes !== undefined && { minutes }) },
    source: { ...document.source, ...(isGiven(words, 'primary') && { primaryAllowed: true }), ...(isGiven(words, 'hiddenFirst') && { hiddenFirst: true }), ...(words.options['failOver'] === false && { failOver: false }), ...(lag !== undefined && { lagLimitSeconds: lag }) },
    retention: { ...document.retention, ...retentionOf(words) },
    promise: { ...document.promise, ...(pointHours !== undefined && { pointHours }), ...(lossMinutes !== undefined && { lossSeconds: lossMinutes * 60 }) },
    ...(verified !== undefined && { verification: { ...document.verification, schedule: verified } }),
  };
}

function preferenceOf(words: Invocation, text: string): [set: string, node: string] {
  const match = /^([^=]+)=([^=]+:\d+)$/.exec(text);
  if (match === null) throw usageOf(words, `--prefer takes SET=HOST:PORT, not "${text}"`);
  return [match[1]!, match[2]!];
}

function scheduleOf(words: Invocation): PolicySchedule | undefined {
  const when = textOf(words, 'schedule');
  const [days, hours, months] = [daysOf(words, 'days'), hoursOf(words, 'hours'), monthsOf(words)];
  if (when !== undefined) return scheduleFrom(words, when, { days, hours, months }, 'schedule');
  if (days !== undefined || hours !== undefined || months !== undefined) throw usageOf(words, '--days, --hours and --months need --schedule');
  return undefined;
}

type Narrowed = { readonly days?: Weekday[] | undefined; readonly hours?: Hours | undefined; readonly months?: number[] | undefined };

function scheduleFrom(words: Invocation, when: string, { days, hours, months }: Narrowed, option: 'schedule' | 'verify'): PolicySchedule {
  const every = /^every (\d{1,4})([mh])$/.exec(when);
  const after = /^after (\S+)$/.exec(when);
  const nth = /^(first|second|third|fourth|last) (mon|tue|wed|thu|fri|sat|sun) (\S+)$/.exec(when);
  const day = /^day (\d{1,2}|last) (\S+)$/.exec(when);
  if (days !== undefined && !timeOfDay.test(when) && every === null) throw usageOf(words, '--days goes with a time of the day, and with "every"');
  if (hours !== undefined && every === null && when !== 'continuous') throw usageOf(words, '--hours goes with "every" and with "continuous"');
  if (months !== undefined && nth === null && day === null) throw usageOf(words, '--months goes with a day of the month');
  const inMonths = months ?? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  if (when === 'manual') return { kind: 'manual' };
  if (when === 'continuous') return { kind: 'continuous', hours: hours ?? null };
  if (timeOfDay.test(when)) return { kind: 'daily', at: when, days: days ?? [...weekdays] };
  if (after !== null) return { kind: 'after', policy: after[1]! };
  if (nth !== null && timeOfDay.test(nth[3]!)) return { kind: 'monthly', at: nth[3]!, on: { kind: 'weekday', nth: nths[nth[1]!]!, weekday: nth[2] as Weekday }, months: inMonths };
  const date = day?.[1] === 'last' ? 'last' : Number(day?.[1]);
  if (day !== null && timeOfDay.test(day[2]!) && (date === 'last' || (date >= 1 && date <= 28))) return { kind: 'monthly', at: day[2]!, on: { kind: 'day', day: date }, months: inMonths };
  const minutes = Number(every?.[1] ?? 0) * (every?.[2] === 'h' ? 60 : 1);
  if (minutes < 1 || minutes > 1440) throw usageOf(words, `--${option} does not take "${when}"; it takes 22:00, "every 4h", "first sat 21:00", "day last 21:00", continuous, "after POLICY" or manual`);
  return { kind: 'every', minutes, hours: hours ?? null, days: days ?? [...weekdays] };
}

/** When sets are verified in full: a time alone is each day, one behind days is on those. */
function verificationOf(words: Invocation): Verification['schedule'] | undefined {
  const when = textOf(words, 'verify');
  if (when === undefined) return undefined;
  const [, days, at] = /^(\S+) (\d\d:\d\d)$/.exec(when) ?? [];
  const chosen = days?.split(',') ?? [];
  if (at !== undefined && timeOfDay.test(at) && chosen.every((day) => weekdays.some((known) => known === day))) return { kind: 'daily', at, days: weekdays.filter((day) => chosen.includes(day)) };
  const schedule = scheduleFrom(words, when, {}, 'verify');
  if (schedule.kind === 'after') throw usageOf(words, '--verify does not take "after"');
  return schedule;
}

function windowOf(words: Invocation): PolicyDocument['window'] {
  if (textOf(words, 'window') === 'none') return null;
  return { ...hoursOf(words, 'window')!, days: daysOf(words, 'windowDays') ?? [...weekdays] };
}

function daysOf(words: Invocation, option: 'days' | 'windowDays'): Weekday[] | undefined {
  const given = textOf(words, option)?.split(',').map((day) => day.trim().toLowerCase());
  const wrong = given?.find((day) => !weekdays.some((known) => known === day));
  if (wrong !== undefined) throw usageOf(words, `${option === 'days' ? '--days' : '--window-days'} takes ${weekdays.join(',')}, not "${wrong}"`);
  return given === undefined ? undefined : weekdays.filter((day) => given.includes(day));
}

function monthsOf(words: Invocation): number[] | undefined {
  const given = textOf(words, 'months')?.split(',').map(Number);
  if (given?.some((month) => !Number.isInteger(month) || month < 1 || month > 12) === true) throw usageOf(words, '--months takes numbers of months, such as 1,4,7,10');
  return given;
}

function hoursOf(words: Invocation, option: 'hours' | 'window'): Hours | undefined {
  const text = textOf(words, option);
  const hours = text === undefined ? undefined : hoursFrom(text);
  if (text !== undefined && hours === undefined) throw usageOf(words, `--${option} takes HH:MM-HH:MM, not "${text}"`);
  return hours;
}

function retentionOf(words: Invocation): Partial<Retention> {
  const [days, points] = [numberOf(words, 'keep', { from: 1, to: 36_500 }), numberOf(words, 'keepPoints', { from: 3, to: 100_000 })];
  if (days !== undefined && points !== undefined) throw usageOf(words, '--keep and --keep-points exclude each other');
  const parse = <V>(option: 'weekly' | 'monthly' | 'yearly', usual: V, read: (text: string) => V | undefined): { count: number; at: V } | null | undefined => {
    const text = textOf(words, option);
    if (text === undefined) return undefined;
    if (text === 'none') return null;
    const [count, at] = text.split('@');
    const chosen = at === undefined ? usual : read(at);
    if (!/^\d{1,4}$/.test(count ?? '') || Number(count) < 1 || chosen === undefined) throw usageOf(words, `--${option} takes a number, also with what it is from, such as 4@sun, 12@1 or 3@1, not "${text}"`);
    return { count: Number(count), at: chosen };
  };
  const weekly = parse<Weekday>('weekly', 'sun', (text) => weekdays.find((day) => day === text));
  const monthly = parse<1 | 2 | 3 | 4 | 'last'>('monthly', 1, (text) => ([1, 2, 3, 4, 'last'] as const).find((week) => String(week) === text));
  const yearly = parse<number>('yearly', 1, (text) => (/^([1-9]|1[0-2])$/.test(text) ? Number(text) : undefined));
  return {
    ...(days !== undefined && { keep: { kind: 'days', days } }),
    ...(points !== undefined && { keep: { kind: 'points', points } }),
    ...(weekly !== undefined && { weekly: weekly && { count: weekly.count, day: weekly.at } }),
    ...(monthly !== undefined && { monthly: monthly && { count: monthly.count, week: monthly.at } }),
    ...(yearly !== undefined && { yearly: yearly && { count: yearly.count, month: yearly.at } }),
    ...oplogOf(words),
  };
}

export function showSchedule(schedule: PolicySchedule): string {
  const on = (days: readonly string[]): string => (days.length === 7 ? '' : ` on ${days.join(', ')}`);
  switch (schedule.kind) {
    case 'manual':
      return 'by hand';
    case 'daily':
      return schedule.days.length === 7 ? `daily at ${schedule.at}` : `${schedule.days.join(', ')} at ${schedule.at}`;
    case 'monthly': {
      const day = schedule.on.kind === 'day' ? (schedule.on.day === 'last' ? 'last day' : `day ${schedule.on.day}`) : `${Object.keys(nths).find((word) => nths[word] === (schedule.on as { nth: unknown }).nth)} ${schedule.on.weekday}`;
      return `${day} of ${schedule.months.length === 12 ? 'each month' : `months ${schedule.months.join(', ')}`} at ${schedule.at}`;
    }
    case 'every':
      return `every ${schedule.minutes % 60 === 0 ? plural(schedule.minutes / 60, 'hour') : plural(schedule.minutes, 'minute')}${schedule.hours === null ? '' : ` from ${schedule.hours.from} to ${schedule.hours.to}`}${on(schedule.days)}`;
    case 'continuous':
      return `all the time${schedule.hours === null ? '' : ` from ${schedule.hours.from} to ${schedule.hours.to}`}`;
    case 'after':
      return `after policy ${schedule.policy}`;
  }
}

/** The next runs, before a policy is saved. `ownZone`: the reader's. */
export function showRuns(runs: RouteAnswer<'policy.preview'>['runs'], { schedule, timeZone }: PolicyDocument, ownZone: string): string[] {
  if (runs.length === 0) return [`${showSchedule(schedule)}: no run by the clock`];
  const lines = runs.map(({ atMs, opensAtMs, closesAtMs }) => `  ${showMoment(atMs, timeZone)}${opensAtMs > atMs ? `, begins when its window opens at ${showMoment(opensAtMs, timeZone)}` : ''}${closesAtMs === null ? '' : `, until ${showMoment(closesAtMs, timeZone)}`}`);
  return [`${showSchedule(schedule)}, ${timeZone}; the next ${plural(runs.length, 'run')}${timeZone === ownZone ? '' : ' (in the zone of the policy)'}:`, ...lines];
}

export function showOplogRule(rule: Retention['oplog']): string {
  return rule.kind === 'points' ? 'kept with its points' : `kept for ${plural(rule.days, 'day')}`;
}

export function showRetention({ keep, weekly, monthly, yearly, oplog }: Retention): string {
  return [
    keep.kind === 'days' ? plural(keep.days, 'day') : plural(keep.points, 'point'),
    ...(weekly === null ? [] : [`${weekly.count} weekly from ${weekly.day}`]),
    ...(monthly === null ? [] : [`${monthly.count} monthly from week ${monthly.week}`]),
    ...(yearly === null ? [] : [`${yearly.count} yearly from month ${yearly.month}`]),
    ...(oplog.kind === 'points' ? [] : [`oplog ${oplog.days === 1 ? '1 day' : `${oplog.days} days`}`]),
  ].join(', ');
}

/** Of a session that tended an archive's oplog. */
export function showMergedOplog(merged: OplogMerged | null): string[] {
  if (merged === null) return [];
  return [`${merged.slices === 0 ? '' : `${plural(merged.slices, 'slice')} of oplog became ${merged.into}; `}the archived oplog is ${plural(merged.files, 'slice')}`];
}
