import * as z from 'zod';
import { ownCheck, verificationOutcome } from '../checks.ts';
import { session } from '../sessions.ts';
import type { Route } from '../route.ts';

/** How a policy verifies one of its sets. */
export const setVerification = z
  .object({
    policy: z.string(),
    set: z.string(),
    setId: z.string(),
    isEnabled: z.boolean(),
    /** Null: not by the clock. */
    nextAtMs: z.number().nullable(),
    checks: z.array(ownCheck),
    /** Null: it was not verified yet. */
    last: verificationOutcome.nullable(),
  })
  .meta({ id: 'SetVerification' });
export type SetVerification = z.infer<typeof setVerification>;

export const checkRoutes = {
  'check.list': {
    method: 'GET',
    path: '/api/v1/checks',
    permission: 'policies.read',
    summary: 'What policies say must be in their sets, when each set is verified in full, and how it went last.',
    query: z.object({ set: z.string().min(1).optional() }),
    status: 200,
    answer: z.object({ verifications: z.array(setVerification) }),
    failures: ['server.set-unknown'],
  },
  'policy.verify': {
    method: 'POST',
    path: '/api/v1/policies/:policy/verify',
    permission: 'policies.run',
    summary: 'Verify each set of a policy in full now, at a moment that is chosen by chance, with the own checks of the policy.',
    params: z.object({ policy: z.string().min(1) }),
    body: z.object({ reason: z.string().max(500).optional() }),
    status: 202,
    answer: z.object({ sessions: z.array(session) }),
    failures: ['server.policy-unknown', 'server.policy-verifies-nothing', 'server.set-busy'],
  },
} as const satisfies Record<string, Route>;
