/** The messages about policies: what they protect, when and how, and how their runs stand. */
import * as z from 'zod';
import { ownChecks } from './checks.ts';
import { taskKinds } from './tasks.ts';
import * as v from './values.ts';

export const weekday = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);
const everyDay = weekday.options;
const days = z.array(weekday).min(1).default([...everyDay]);
const hours = z.object({ from: v.timeOfDay, to: v.timeOfDay });
const nthWeek = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal('last')]);
const month = z.int().min(1).max(12);

const byClock = [
  z.object({ kind: z.literal('manual') }),
  z.object({ kind: z.literal('daily'), at: v.timeOfDay, days }),
  z.object({
    kind: z.literal('monthly'),
    at: v.timeOfDay,
    on: z.discriminatedUnion('kind', [z.object({ kind: z.literal('weekday'), nth: nthWeek, weekday }), z.object({ kind: z.literal('day'), day: z.union([z.int().min(1).max(28), z.literal('last')]) })]),
    months: z.array(month).min(1).default([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
  }),
  /** A grid that begins anew each day, at the first permitted minute. */
  z.object({ kind: z.literal('every'), minutes: z.int().min(1).max(1440), hours: hours.nullable().default(null), days }),
  z.object({ kind: z.literal('continuous'), hours: hours.nullable().default(null) }),
] as const;

export const policySchedule = z
  .discriminatedUnion('kind', [
    ...byClock,
    /** When a run of that policy has ended with a new point. */
    z.object({ kind: z.literal('after'), policy: z.string().min(1) }),
  ])
  .meta({ id: 'PolicySchedule' });

/** Full verifications of the sets of a policy, each at a moment that is chosen by chance, and what its owner says must be in them. */
export const verification = z
  .object({
    schedule: z.discriminatedUnion('kind', byClock).default({ kind: 'daily', at: '03:00', days: ['sun'] }),
    checks: ownChecks.default([]),
  })
  .meta({ id: 'Verification' });
export type Verification = z.infer<typeof verification>;

export const retention = z
  .object({
    keep: z.discriminatedUnion('kind', [z.object({ kind: z.literal('days'), days: z.int().min(1).max(36_500) }), z.object({ kind: z.literal('points'), points: z.int().min(3).max(100_000) })]).default({ kind: 'days', days: 7 }),
    /** Of each week that begins on `day` the first good point, for the newest so many weeks. */
    weekly: z.object({ count: z.int().min(1).max(5_000), day: weekday.default('sun') }).nullable().default(null),
    /** Of each month that begins with this week of it. */
    monthly: z.object({ count: z.int().min(1).max(1_200), week: nthWeek.default(1) }).nullable().default(null),
    yearly: z.object({ count: z.int().min(1).max(100), month: month.default(1) }).nullable().default(null),
    /** Of the archived oplog; never for longer than the oldest point can use it. */
    oplog: v.oplogRule.default({ kind: 'points' }),
  })
  .meta({ id: 'Retention' });

const compression = z.enum(['none', 'fast', 'balanced', 'strong']);

const { program, args, deadlineSeconds } = taskKinds['run-hook'].input.shape;

/** Beside the hooks of the sets themselves, for backups that are made as the policy says (docs/design/hooks.md). */
const policyHook = z
  .strictObject({ when: z.enum(['before', 'after']), on: z.string().min(1).default('local'), program, args: args.default([]), deadlineSeconds: deadlineSeconds.default(60), onFailure: z.enum(['fail', 'warn']).default('fail') })
  .meta({ id: 'PolicyHook' });
export type PolicyHook = z.infer<typeof policyHook>;

export const policyDocument = z
  .object({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'it takes up to 64 letters, digits, ".", "_" and "-", of which the first is a letter or a digit'),
    description: z.string().max(500).default(''),
    highPriority: z.boolean().default(false),
    /** Each with whatever sets of it are protected when a run begins. */
    groups: z.array(z.string().min(1)).default([]),
    sets: z.array(z.string().min(1)).default([]),
    /** By the name of the set: in place of what the policy says. */
    overrides: z.record(z.string(), z.object({ preferredNode: z.string().optional(), compression: compression.optional() })).default({}),
    source: z
      .object({
        /** When the preferred node of an override is not fit: another one, rather than none. */
        failOver: z.boolean().default(true),
        primaryAllowed: z.boolean().default(false),
        hiddenFirst: z.boolean().default(false),
        lagLimitSeconds: z.number().min(1).max(86_400).default(30),
      })
      .prefault({}),
    schedule: policySchedule.default({ kind: 'daily', at: '22:00', days: [...everyDay] }),
    timeZone: z.string().min(1).default('UTC'),
    /** Outside it sessions are stopped; null: always open. */
    window: hours.extend({ days }).nullable().default(null),
    retry: z.object({ times: z.int().min(0).max(20).default(3), minutes: z.int().min(1).max(1440).default(10) }).prefault({}),
    retention: retention.prefault({}),
    compression: compression.default('balanced'),
    /** How fast the copies that it makes may be. */
    bandwidth: v.bandwidthLimits.default([]),
    /** When a set counts as unprotected, and that is told. `pointHours` null: the longest pause of the schedule, and an hour. */
    promise: z.object({ pointHours: z.int().min(1).max(100_000).nullable().default(null), lossSeconds: z.int().min(60).max(31_536_000).default(900) }).prefault({}),
    verification: verification.prefault({}),
    hooks: z.array(policyHook).max(50).default([]),
    /** What follows each point of its runs: it is opened, or it stays unproved until a verification comes to it. */
    proof: z.enum(['open', 'none']).default('open'),
    /** Whether an alarm of its sets is answered with a new base by itself. */
    newBase: z.boolean().default(true),
  })
  .meta({ id: 'PolicyDocument' });

export const partState = z.enum(['waiting', 'running', 'success', 'warning', 'failed', 'stopped', 'cut']);
export const policyRun = z
  .object({
    id: z.string(),
    state: z.enum(['open', 'success', 'warning', 'failed', 'stopped']),
    /** What began it: its schedule, somebody, another policy. */
    why: z.string(),
    dueAtMs: z.number(),
    /** Moments of the schedule that it makes up for, and that passed while it was open. */
    missed: z.int(),
    skipped: z.int(),
    /** Its window; null: it has none. */
    opensAtMs: z.number(),
    closesAtMs: z.number().nullable(),
    beganAtMs: z.number(),
    endedAtMs: z.number().nullable(),
    says: z.string().nullable(),
    parts: z.array(z.object({ set: z.string(), setId: z.string(), state: partState, tries: z.int(), session: z.string().nullable(), notBeforeMs: z.number().nullable(), says: z.string().nullable() })),
  })
  .meta({ id: 'PolicyRun' });

export const policy = z
  .object({
    id: z.string(),
    isEnabled: z.boolean(),
    document: policyDocument,
    addedAtMs: z.number(),
    /** When its schedule runs next; null: not by the clock. */
    nextRunAtMs: z.number().nullable(),
    /** The sets it protects now. */
    protects: z.array(z.string()),
    lastRun: policyRun.nullable(),
  })
  .meta({ id: 'Policy' });

export type PolicyDocument = z.infer<typeof policyDocument>;
export type GivenPolicy = z.input<typeof policyDocument>;
export type PolicyRun = z.infer<typeof policyRun>;
export type Policy = z.infer<typeof policy>;
export type Retention = z.infer<typeof retention>;
export type PolicySchedule = z.infer<typeof policySchedule>;
