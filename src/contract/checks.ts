/**
 * Own checks: questions of an operator's with the answers they must have, asked of a restore point that a real mongod has opened
 * (docs/design/verification.md). Filters, pipelines and documents are extended JSON. Nothing here writes or runs a script.
 */
import * as z from 'zod';

const document = z.record(z.string(), z.unknown());
const number = z.number().min(0);
const howMany = { atLeast: number.optional(), atMost: number.optional() };

/** Stages that write, and operators that run JavaScript. What begins with `$_` is mongod's own: some of it runs JavaScript, none is documented. */
const forbidden: ReadonlySet<string> = new Set(['$out', '$merge', '$where', '$function', '$accumulator']);

const shape = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$/),
  /** `DATABASE.COLLECTION`. */
  collection: z.string().regex(/^(?!(?:admin|config|local)\.)[^.$\s/\\"]+\.(?!system\.)[^$\0]+$/, 'it takes DATABASE.COLLECTION, not of admin, config or local, and no system collection'),
  /** How many documents fit. */
  count: document.optional(),
  find: z.strictObject({ filter: document.default({}), projection: document.optional(), sort: document.optional() }).optional(),
  aggregate: z.array(document).max(50).optional(),
  expect: z.strictObject({ equals: z.union([number, z.array(document).max(100)]).optional(), ...howMany }),
  deadlineSeconds: z.int().min(1).max(3_600).default(60),
});

/** One that cannot be asked, or has no answer, is refused when it is written down. */
export const ownCheck = shape
  .superRefine((check, context) => {
    const wrong = whatIsWrong(check);
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: `check ${check.name} ${wrong}` });
  })
  .meta({ id: 'OwnCheck' });
export type OwnCheck = z.infer<typeof shape>;

/** The checks of one policy or set: each name is there once. */
export const ownChecks = z.array(ownCheck).max(100).refine((checks) => new Set(checks.map(({ name }) => name)).size === checks.length, 'two checks have the same name');

/** `says` has numbers of documents and names of fields that the check itself has, and nothing of any document. */
export const checkOutcome = z.object({ name: z.string(), ok: z.boolean(), says: z.string(), seconds: z.number() }).meta({ id: 'CheckOutcome' });
export type CheckOutcome = z.infer<typeof checkOutcome>;

/** How a full verification of a set went: at which moment, from which point, and each own check. */
export const verificationOutcome = z
  .object({ atMs: z.number(), ok: z.boolean(), session: z.string(), point: z.string(), moment: z.object({ t: z.int(), i: z.int() }).nullable(), says: z.string(), checks: z.array(checkOutcome) })
  .meta({ id: 'VerificationOutcome' });
export type VerificationOutcome = z.infer<typeof verificationOutcome>;

export function whatIsWrong({ count, find, aggregate, expect }: OwnCheck): string | undefined {
  const asked = [count, find, aggregate].filter((one) => one !== undefined);
  if (asked.length !== 1) return 'asks for one of count, find and aggregate';
  const { equals, atLeast, atMost } = expect;
  if ((equals === undefined) === (atLeast === undefined && atMost === undefined)) return 'expects either "equals", or "atLeast" and "atMost"';
  if (typeof equals === 'number' && count === undefined) return 'expects a number, which only count answers; for documents give a list, or how many there are with "atLeast" and "atMost"';
  if (Array.isArray(equals) && count !== undefined) return 'expects documents, and count answers a number';
  if (atLeast !== undefined && atMost !== undefined && atLeast > atMost) return 'expects more at least than at most';
  if (count === undefined && Math.max(atLeast ?? 0, atMost ?? 0) > mostDocuments) return `expects more than ${mostDocuments} documents; ask with count`;
  const stray = forbiddenIn(asked[0]);
  return stray === undefined ? undefined : `has ${stray}`;
}

/** What a check may be answered with. */
export const mostDocuments = 100;

function forbiddenIn(value: unknown): string | undefined {
  if (Array.isArray(value)) return firstOf(value);
  if (!isDocument(value)) return undefined;
  for (const [key, inside] of Object.entries(value)) {
    if (forbidden.has(key) || key.startsWith('$_')) return `${key}: a check only reads, and runs no script`;
    if (looksElsewhere(key, inside)) return `${key} of another database or of a system collection`;
  }
  return firstOf(Object.values(value));
}

function firstOf(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const found = forbiddenIn(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where a stage names a second collection. Only stages are looked at: documents have fields called `from` and `coll`, too. */
const named: Readonly<Record<string, 'from' | 'coll'>> = { $lookup: 'from', $graphLookup: 'from', $unionWith: 'coll' };

/** mongod takes `{ db, coll }` in place of a name, for the inside of a set. */
function looksElsewhere(stage: string, body: unknown): boolean {
  const field = Object.hasOwn(named, stage) ? named[stage] : undefined;
  if (field === undefined) return false;
  const name = isDocument(body) ? body[field] : body;
  if (isDocument(body) && 'db' in body) return true;
  return name !== undefined && (typeof name !== 'string' || name.startsWith('system.'));
}

const isDocument = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
