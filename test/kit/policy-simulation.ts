/**
 * Years of policies in seconds: the real scheduler on a simulated clock, with sessions that are none.
 *
 * Server and hosts fail, the server is killed between any two writes, its clock jumps and is set right again, operators
 * edit, disable, run and stop. What must hold is checked all the time; what is left at the end has to end.
 */
import { Cron } from 'croner';
import type { Counting, PolicyRow, RunRow } from '../../src/catalog/policies.ts';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { policyDocument, type GivenPolicy, type PolicyDocument } from '../../src/contract/policies.ts';
import { usualLimits } from '../../src/domain/policy-run.ts';
import { nextRun } from '../../src/domain/schedule.ts';
import { openPolicyScheduler, type PolicyScheduler, type PolicyWork } from '../../src/server/policy-scheduler.ts';
import { memoryPolicyBook } from './memory-policy-book.ts';
import type { Chance } from './seeded.ts';
import { simulatedWorld } from './simulated-world.ts';

export type Simulation = { readonly policies: number; readonly years: number; readonly violations: string[]; readonly seed: number; readonly figures: Readonly<Record<string, number>> };

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const beginMs = Temporal.Instant.from('2026-01-01T00:00Z').epochMilliseconds;
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe'] as const;
const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
/** No run may be open for longer, whatever happens to it. */
const longestRunMs = 60 * dayMs;
/** Of so many policies the moments are counted a second time, by a cron library. */
const oneInReferred = 20;

export async function simulatePolicies({ policies: count, years, chance, say }: { policies: number; years: number; chance: Chance; say: (line: string) => void }): Promise<Simulation> {
  const violations: string[] = [];
  const violation = (text: string): void => void (violations.length < 100 && violations.push(text));
  const figures = { runs: 0, missed: 0, skipped: 0, rounds: 0, kills: 0, outages: 0, jumps: 0, edits: 0, moments: 0 };
  const world = simulatedWorld({ chance, sets: Math.max(2, Math.ceil(count * 1.1)), violation });
  const book = memoryPolicyBook();
  const documents = new Map<string, PolicyDocument>();
  const bySet = new Map<string, Set<string>>();
  const openSince = new Map<string, number>();
  let trueMs = beginMs;
  let skewMs = 0;
  const clock: Clock = { now: () => trueMs + skewMs, monotonicMs: () => trueMs, wait: async () => await Promise.reject(new Error('a simulation waits for nothing')) };

  function save(id: string, given: GivenPolicy, isEnabled = true): void {
    const document = policyDocument.parse(given);
    for (const set of documents.get(id)?.sets ?? []) bySet.get(set)?.delete(id);
    for (const set of document.sets) bySet.set(set, (bySet.get(set) ?? new Set()).add(id));
    documents.set(id, document);
    const { schedule, timeZone } = document;
    book.put({ id, name: id, document: id, is_enabled: isEnabled ? 1 : 0, counts_from_ms: clock.now(), next_ms: nextRun(schedule, timeZone, clock.now()), follows: schedule.kind === 'after' ? schedule.policy : null, added_ms: 0 });
  }
  world.setRules((set) => [...(bySet.get(set) ?? [])].map((id) => ({ name: id, timeZone: documents.get(id)!.timeZone, retention: documents.get(id)!.retention })));

  book.seen.opened = ({ run }) => void openSince.set(run.id, trueMs);
  book.seen.ended = (run: RunRow, parts) => {
    figures.runs++;
    figures.missed += run.missed;
    figures.skipped += run.skipped;
    if (trueMs - openSince.get(run.id)! > longestRunMs) violation(`run ${run.id} of ${run.policy} was open for ${Math.round((trueMs - openSince.get(run.id)!) / dayMs)} days`);
    openSince.delete(run.id);
    world.forget(run, parts);
  };
  book.seen.counted = (counting, accounted) => {
    figures.moments += accounted;
    const wrong = unaccounted(documents.get(counting.policy)!, counting, accounted, Number(counting.policy.slice(1)) % oneInReferred === 0);
    if (wrong !== undefined) violation(`${counting.policy}: ${wrong}`);
  };

  const work: PolicyWork = {
    documentOf: (row: PolicyRow) => documents.get(row.id)!,
    sets: async (document) => await Promise.resolve(document.sets.map((id) => ({ id, name: id }))),
    asked: async () => await Promise.resolve([]),
    beginAsked: async () => await Promise.resolve(),
    places: async (wanted) => await Promise.resolve(wanted.map(({ set }) => world.places.get(set))),
    running: async () => await Promise.resolve(world.running()),
    async begin(part, run) {
      book.strike('before');
      const begun = world.begin(part, run, trueMs);
      book.strike('after');
      return await Promise.resolve(begun);
    },
    begunFor: async (part) => await Promise.resolve(world.begunFor(part)),
    ended: async (session) => await Promise.resolve(world.ended(session)),
    stop: async (session) => await Promise.resolve(world.stop(session, trueMs)),
  };

  let runIds = 0;
  const openServer = (): PolicyScheduler => openPolicyScheduler({ book, work, clock, log: silentLog, limits: async () => await Promise.resolve(usualLimits), newId: () => `run${runIds++}` });
  let server = openServer();
  let downUntilMs = 0;
  let killIn = -1;
  let isDead = false;
  book.strike = () => {
    if (killIn >= 0 && killIn-- === 0) isDead = true;
    if (isDead) throw new Error('the server was killed');
  };

  async function round(): Promise<number> {
    figures.rounds++;
    const waitMs = await server.round().catch((error: unknown) => {
      if (!isDead) throw error;
      return minuteMs;
    });
    if (!isDead) return waitMs;
    isDead = false;
    figures.kills++;
    downUntilMs = trueMs + chance.below(10) * minuteMs;
    server = openServer();
    return minuteMs;
  }

  for (let at = 0; at < count; at++) save(`p${at}`, randomPolicy(at, count, world.places.size, chance));

  async function happen(): Promise<void> {
    const id = `p${chance.below(count)}`;
    const row = book.policies.get(id)!;
    switch (chance.below(12)) {
      case 0:
        downUntilMs = trueMs + minuteMs * (1 + chance.below(chance.pick([30, 600, 14_400])));
        figures.outages++;
        return;
      case 1:
        // Set right again by the next one that happens to be, or a worse one.
        if (skewMs === 0 && chance.below(3) !== 0) return;
        skewMs = skewMs !== 0 && chance.below(2) === 0 ? 0 : minuteMs * (chance.below(20) === 0 ? chance.pick([44_000, -44_000, 600_000, -600_000]) : chance.pick([1, -1, 90, -90, 1_500, -1_500]));
        figures.jumps++;
        return;
      case 2:
      case 3:
        killIn = chance.below(40);
        return;
      case 4:
        for (let n = 0; n < 5; n++) world.awayUntil.set(world.places.get(`s${chance.below(world.places.size)}`)!.host, trueMs + minuteMs * chance.below(3_000));
        return;
      case 5:
      case 6:
        figures.edits++;
        return save(id, randomPolicy(Number(id.slice(1)), count, world.places.size, chance), chance.below(8) !== 0);
      case 7:
        return save(id, documents.get(id)!, row.is_enabled === 0);
      case 8:
        await server.run(row, { why: 'by hand', fullRead: false }).catch(() => undefined);
        return;
      case 9: {
        const run = await book.openRunOf(id);
        if (run !== undefined) await book.changeRun(run.id, { stopping: 1 }).catch(() => undefined);
        return;
      }
      default: {
        const held = world.points.get(`s${chance.below(world.places.size)}`)!;
        const point = held[chance.below(Math.max(1, held.length))];
        if (point !== undefined) point.bound = point.bound.length === 0 ? ['it is held'] : [];
      }
    }
  }

  const endMs = beginMs + Math.round(years * 365.25 * dayMs);
  let nextHappeningMs = beginMs + hourMs;
  let wakeMs = beginMs;
  let saidMs = beginMs;
  const step = async (untilMs: number): Promise<void> => {
    const isDown = downUntilMs > trueMs;
    trueMs = Math.max(trueMs, Math.min(isDown ? downUntilMs : Math.min(wakeMs, world.nextEndMs()), nextHappeningMs, untilMs));
    world.pass(trueMs, clock.now());
    if (nextHappeningMs <= trueMs) {
      await happen();
      isDead = false;
      nextHappeningMs = trueMs + minuteMs * (1 + chance.below(720));
      // The loop looks at the clock once a minute.
      wakeMs = Math.min(wakeMs, trueMs + chance.below(minuteMs));
    }
    if (downUntilMs <= trueMs) wakeMs = trueMs + (await round());
  };
  while (trueMs < endMs) {
    await step(endMs);
    if (trueMs - saidMs < 365 * dayMs) continue;
    saidMs = trueMs;
    say(`${((trueMs - beginMs) / (365.25 * dayMs)).toFixed(0)} years: ${figures.runs} runs, ${world.figures.deleted} points deleted, ${violations.length} violations`);
  }
  await wearOut();
  return { policies: count, years, violations, seed: chance.seed, figures: { ...figures, ...world.figures } };

  /** Nothing new, and everything has to end. */
  async function wearOut(): Promise<void> {
    for (const row of book.policies.values()) save(row.id, documents.get(row.id)!, false);
    [skewMs, downUntilMs, nextHappeningMs, killIn] = [0, 0, Infinity, -1];
    const lastMs = trueMs + longestRunMs;
    wakeMs = trueMs;
    while ((await book.openRuns()).length > 0 && trueMs < lastMs) await step(lastMs);
    for (const { run } of await book.openRuns()) violation(`run ${run.id} of ${run.policy} never ends`);
    if (world.running().length > 0) violation(`${world.running().length} sessions never end`);
  }
}

/** Whether the moments between two counts are as many as were accounted for; what is wrong, in words. */
function unaccounted({ schedule, timeZone }: PolicyDocument, { wasMs, fromMs }: Counting, accounted: number, isReferred: boolean): string | undefined {
  if (fromMs < wasMs) return accounted === 0 ? undefined : 'moments were accounted for by a clock that was set back';
  if (schedule.kind === 'continuous') return undefined;
  const next = accounted === 0 || isReferred ? nextRun(schedule, timeZone, wasMs) : null;
  if (accounted === 0 && next !== null && next <= fromMs) return `the run of ${next} is unaccounted for`;
  const pattern = isReferred ? patternOf({ schedule }) : undefined;
  if (pattern === undefined) return undefined;
  const cron = new Cron(pattern, { timezone: timeZone, paused: true });
  let counted = 0;
  for (let at = cron.nextRun(new Date(wasMs)); at !== null && at.getTime() <= fromMs; at = cron.nextRun(at)) counted++;
  return counted === accounted ? undefined : `${accounted} moments of ${pattern} from ${wasMs} to ${fromMs} in ${timeZone} were accounted for, and there are ${counted}`;
}

function patternOf({ schedule }: Pick<PolicyDocument, 'schedule'>): string | undefined {
  if (schedule.kind !== 'daily') return undefined;
  const [hour, minute] = schedule.at.split(':').map(Number);
  return `${minute} ${hour} * * ${schedule.days.join(',')}`;
}

function randomPolicy(at: number, count: number, sets: number, chance: Chance): GivenPolicy {
  const time = (): string => `${String(chance.below(24)).padStart(2, '0')}:${String(chance.below(60)).padStart(2, '0')}`;
  const days = (): (typeof weekdays)[number][] => {
    const chosen = weekdays.filter(() => chance.below(4) === 0);
    return chosen.length > 0 ? chosen : ['sun'];
  };
  const schedules: (() => GivenPolicy['schedule'])[] = [
    () => ({ kind: 'daily', at: time(), days: chance.below(4) === 0 ? [...weekdays] : days() }),
    () => ({ kind: 'monthly', at: time(), on: { kind: 'weekday', nth: chance.pick([1, 2, 3, 4, 'last'] as const), weekday: chance.pick(weekdays) }, months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }),
    () => ({ kind: 'every', minutes: 60 * chance.pick([4, 6, 8, 12]), hours: chance.below(2) === 0 ? null : { from: time(), to: time() }, days: [...weekdays] }),
    // After one of a lower number, so that there is no circle.
    () => (at === 0 ? { kind: 'manual' } : { kind: 'after', policy: `p${chance.below(at)}` }),
  ];
  const always: GivenPolicy['schedule'] = { kind: 'continuous', hours: { from: '20:00', to: '02:00' } };
  const halfHours: GivenPolicy['schedule'] = { kind: 'every', minutes: 30, days: ['sat'] };
  const lot = chance.below(200);
  const schedule = lot === 0 ? always : lot < 3 ? halfHours : schedules[lot < 110 ? 0 : lot < 150 ? 1 : lot < 165 ? 2 : 3]!();
  return {
    name: `p${at}`,
    sets: [`s${at}`, ...(chance.below(10) === 0 ? [`s${chance.below(sets)}`] : [])].filter((set, place, all) => all.indexOf(set) === place),
    highPriority: chance.below(20) === 0,
    schedule,
    timeZone: chance.pick(zones),
    window: chance.below(6) === 0 ? { from: time(), to: time(), days: chance.below(2) === 0 ? [...weekdays] : days() } : null,
    retry: { times: chance.below(4), minutes: 10 },
    retention: {
      keep: chance.below(2) === 0 ? { kind: 'days', days: 1 + chance.below(30) } : { kind: 'points', points: 3 + chance.below(20) },
      weekly: at % 50 === 0 && count > 0 ? { count: 4, day: 'sun' } : null,
    },
  };
}
