import * as z from 'zod';
import { auditRow } from '../people.ts';
import type { Route } from '../route.ts';

export const auditRoutes = {
  'audit.list': {
    method: 'GET',
    path: '/api/v1/audit',
    permission: 'audit.read',
    summary: 'Rows of the audit, newest first.',
    query: z.object({
      who: z.string().optional(),
      before: z.coerce.number().int().min(1).optional().meta({ description: 'the number of the last row of the page before' }),
      limit: z.coerce.number().int().min(1).max(5_000).default(100),
    }),
    status: 200,
    answer: z.object({ rows: z.array(auditRow) }),
    failures: [],
  },
  'audit.verify': {
    method: 'GET',
    path: '/api/v1/audit/verification',
    permission: 'audit.read',
    summary: 'Walk the whole chain of the audit. `faults` names each row at which it does not fit.',
    status: 200,
    answer: z.object({ isWhole: z.boolean(), rows: z.int(), head: z.string(), faults: z.array(z.object({ number: z.int(), what: z.string() })) }).meta({ id: 'AuditVerdict' }),
    failures: [],
  },
} as const satisfies Record<string, Route>;
