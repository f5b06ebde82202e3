import * as z from 'zod';
import type { Route } from '../route.ts';

const port = z.int().min(1).max(65535);
const key = z.object({ type: z.string(), fingerprint: z.string() });

export const hostKey = z
  .object({
    /** As the server reaches it. */
    host: z.string(),
    port,
    /** `untrusted`: seen, and nobody has admitted it; `changed`: it shows another key than the one that is trusted. */
    state: z.enum(['trusted', 'untrusted', 'changed']),
    trusted: key.extend({ by: z.string(), atMs: z.number() }).nullable(),
    waiting: key.extend({ atMs: z.number() }).nullable(),
  })
  .meta({ id: 'HostKey' });
export type HostKeyStanding = z.infer<typeof hostKey>;

/** `automatic`: the first key a host shows is trusted; `manual`: an operator admits it. */
export const hostKeyMode = z.enum(['automatic', 'manual']);
export type HostKeyMode = z.infer<typeof hostKeyMode>;

export const hostKeyRoutes = {
  'host-key.list': {
    method: 'GET',
    path: '/api/v1/host-keys',
    permission: 'hosts.read',
    summary: 'The SSH keys of hosts, and how unknown ones are met.',
    status: 200,
    answer: z.object({ mode: hostKeyMode, hostKeys: z.array(hostKey) }),
    failures: [],
  },
  'host-key.admit': {
    method: 'POST',
    path: '/api/v1/host-keys',
    permission: 'hosts.write',
    summary: 'Trust the key that a host shows. The fingerprint is the one that was compared on the host.',
    body: z.object({ host: z.string().min(1).max(253), port: port.default(22), fingerprint: z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/) }),
    status: 200,
    answer: hostKey,
    failures: ['server.host-key-unknown', 'server.host-key-other'],
  },
  'host-key.mode': {
    method: 'PUT',
    path: '/api/v1/host-keys/mode',
    permission: 'hosts.write',
    summary: 'How a host is met whose key is not known: trusted at first use, or waiting until it is admitted.',
    body: z.object({ mode: hostKeyMode }),
    status: 200,
    answer: z.object({ mode: hostKeyMode }),
    failures: [],
  },
} as const satisfies Record<string, Route>;
