import * as z from 'zod';
import { credentialRecord } from '../credentials.ts';
import type { Route } from '../route.ts';

export const credential = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(['host', 'windows', 'database']),
    user: z.string().nullable(),
    signIn: z.enum(['password', 'key', 'scram', 'x509', 'none']),
    /** Host credentials: the SSH port, and how the user becomes root. */
    port: z.int().nullable(),
    elevation: z.enum(['none', 'sudo', 'su']).nullable(),
    addedAtMs: z.number(),
  })
  .meta({ id: 'Credential' });
export type Credential = z.infer<typeof credential>;

export const credentialRoutes = {
  'credential.add': {
    method: 'POST',
    path: '/api/v1/credentials',
    permission: 'credentials.write',
    summary: 'Keep a credential for hosts or databases. Its secrets are sealed, and no route answers them.',
    body: z.object({ name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), record: credentialRecord }),
    status: 201,
    answer: credential,
    failures: ['server.credential-exists'],
  },
  'credential.list': {
    method: 'GET',
    path: '/api/v1/credentials',
    permission: 'credentials.read',
    summary: 'Every kept credential, without its secrets.',
    status: 200,
    answer: z.object({ credentials: z.array(credential) }),
    failures: [],
  },
  'credential.remove': {
    method: 'DELETE',
    path: '/api/v1/credentials/:credential',
    permission: 'credentials.write',
    summary: 'Forget a credential. Without `apply` it only answers the plan.',
    params: z.object({ credential: z.string().min(1) }),
    query: z.object({ apply: z.stringbool().default(false).meta({ description: 'carry out the plan; otherwise only the plan is answered' }) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), credential: z.string(), plan: z.array(z.string()) }),
    failures: ['server.credential-unknown'],
  },
} as const satisfies Record<string, Route>;
