import * as z from 'zod';
import { checkedRow, exportFormats, nameFinding, portRow } from '../ports.ts';
import type { Route } from '../route.ts';

const machine = z.string().min(1).optional().meta({ description: 'only rows that come from this machine or lead to it' });

export const portRoutes = {
  'ports.matrix': {
    method: 'GET',
    path: '/api/v1/ports',
    permission: 'ports.read',
    summary: 'The port plan: which machine must reach which, on what, for the machines that there are.',
    query: z.object({ host: machine }),
    status: 200,
    answer: z.object({ rows: z.array(portRow) }).meta({ id: 'PortPlan' }),
    failures: ['server.host-unknown'],
  },
  'ports.check': {
    method: 'POST',
    path: '/api/v1/ports/check',
    permission: 'ports.check',
    summary: 'Have every machine of the plan try those that it must reach, and look names up in both directions.',
    body: z.object({
      host: machine,
      rows: z.array(z.int().min(1)).optional().meta({ description: 'only these rows of docs/reference/ports.md' }),
      eachMs: z.int().min(100).max(30_000).default(4_000).meta({ description: 'how long one try may take' }),
    }),
    status: 200,
    answer: z
      .object({
        ok: z.boolean().meta({ description: 'nothing is wrong with what could be tried' }),
        checkedAtMs: z.number(),
        rows: z.array(checkedRow),
        names: z.array(nameFinding),
      })
      .meta({ id: 'PortCheck' }),
    failures: ['server.host-unknown'],
  },
  'ports.export': {
    method: 'GET',
    path: '/api/v1/ports/export',
    permission: 'ports.read',
    summary: 'The port plan as firewall rules, for one machine or for all of them.',
    query: z.object({ format: z.enum(exportFormats), host: z.string().min(1).optional() }),
    status: 200,
    answer: z.object({ format: z.enum(exportFormats), texts: z.array(z.object({ machine: z.string().nullable().meta({ description: 'null: one text for all machines' }), text: z.string() })) }).meta({ id: 'PortExport' }),
    failures: ['server.host-unknown'],
  },
} as const satisfies Record<string, Route>;
