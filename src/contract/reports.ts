/** Reports: how every set stands against its promise, and what happened in a span of time. */
import * as z from 'zod';

export const setStanding = z
  .object({
    set: z.string(),
    isProtected: z.boolean(),
    reasons: z.array(z.string()),
    lastPointAtMs: z.number().nullable(),
    lastPointAgeSeconds: z.number().nullable(),
    promisedPointHours: z.number(),
    lossIfDisasterNowSeconds: z.number().nullable(),
    promisedLossSeconds: z.number(),
    /** The moments that can be had back, as far as the catalog knows. */
    window: z.object({ fromMs: z.number(), toMs: z.number() }).nullable(),
    points: z.int(),
    /** Bytes the newest point holds, and how many more than the newest one from before the span. */
    bytes: z.number().nullable(),
    grownBytes: z.number().nullable(),
    /** New in the repository in this span. */
    storedBytes: z.number(),
    verified: z.object({ atMs: z.number(), level: z.enum(['open', 'full']) }).nullable(),
    /** The last full verification: how many own checks were asked, and which did not hold. Null: there was none. */
    fullyVerified: z.object({ atMs: z.number(), ok: z.boolean(), says: z.string(), checks: z.int(), failed: z.array(z.string()) }).nullable(),
    alarmsOpen: z.int(),
    oplogState: z.string(),
  })
  .meta({ id: 'SetStanding' });
export type SetStanding = z.infer<typeof setStanding>;

const reportedSession = z.object({ id: z.string(), kind: z.string(), isPlan: z.boolean(), object: z.string(), state: z.string(), startedAtMs: z.number().nullable(), endedAtMs: z.number().nullable(), warnings: z.int(), failure: z.object({ code: z.string(), message: z.string(), hint: z.string() }).nullable() });

export const report = z
  .object({
    kind: z.enum(['daily', 'session']),
    server: z.string(),
    fromMs: z.number(),
    toMs: z.number(),
    sets: z.array(setStanding),
    /** Newest first; at most 500. */
    sessions: z.array(reportedSession),
    isCut: z.boolean(),
    /** Of the session a report is about: what it did, and its bytes. */
    steps: z.array(z.object({ name: z.string(), seconds: z.number().nullable() })),
    bytes: z.object({ processed: z.number(), read: z.number(), stored: z.number() }).nullable(),
  })
  .meta({ id: 'Report' });
export type Report = z.infer<typeof report>;
