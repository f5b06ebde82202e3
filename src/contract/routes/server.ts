import * as z from 'zod';
import { orders } from '../orders.ts';
import type { Route } from '../route.ts';

export const serverRoutes = {
  'server.info': {
    method: 'GET',
    path: '/api/v1/server',
    permission: 'server.read',
    summary: 'The server: version, since when it runs, how its hosts are connected.',
    status: 200,
    answer: z
      .object({
        version: z.string(),
        contract: z.int(),
        startedAtMs: z.number(),
        nowMs: z.number(),
        url: z.string(),
        caFingerprint: z.string(),
        /** How many sets are copied at once, by all servers of one catalog together. */
        copiesAtOnce: z.int(),
        hosts: z.array(z.object({ host: z.string(), address: z.string(), state: z.enum(['connected', 'connecting', 'refused']), says: z.string().nullable() })),
      })
      .meta({ id: 'ServerInfo' }),
    failures: [],
  },
  'server.limit': {
    method: 'PUT',
    path: '/api/v1/server/limits',
    permission: 'policies.write',
    summary: 'Set how many sets are copied at once, by all servers of one catalog together.',
    body: z.object({ copiesAtOnce: z.int().min(1).max(10_000) }),
    status: 200,
    answer: z.object({ copiesAtOnce: z.int() }),
    failures: [],
  },
  'host.describe': {
    method: 'GET',
    path: '/api/v1/hosts/:host',
    permission: 'server.read',
    summary: 'What a host has and lacks for backup and restore; `local` is the server\'s own machine.',
    params: z.object({ host: z.string().min(1) }),
    status: 200,
    answer: orders['host.describe'].output.extend({ host: z.string(), clockSkewMs: z.number() }).meta({ id: 'HostDescription' }),
    failures: ['server.host-unknown', 'server.host-unreachable'],
  },
  'server.openapi': {
    method: 'GET',
    path: '/api/v1/openapi.json',
    permission: 'server.read',
    summary: 'This description, as OpenAPI 3.1.',
    status: 200,
    answer: z.record(z.string(), z.unknown()),
    failures: [],
  },
} as const satisfies Record<string, Route>;
