import * as z from 'zod';
import type { Route } from '../route.ts';
import { session } from '../sessions.ts';

const port = z.int().min(1).max(65535);
const dials = z.enum(['server', 'host']);
const hostParams = z.object({ host: z.string().min(1) });

export const hostWish = z
  .object({
    name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/),
    /** A name or an address, as the server and other hosts reach it. */
    address: z.string().min(1).max(253),
    controlPort: port.default(6162),
    deployerPort: port.default(6160),
    dataFrom: port.default(2500),
    dataTo: port.default(3300),
    /** Who opens the order link. */
    dials: dials.default('server'),
  })
  .refine(({ dataFrom, dataTo }) => dataFrom <= dataTo, { message: 'dataFrom must not be above dataTo' });

export const host = z
  .object({
    id: z.string(),
    name: z.string(),
    address: z.string(),
    controlPort: port,
    deployerPort: port,
    dataFrom: port,
    dataTo: port,
    dials,
    state: z.enum(['expected', 'enrolled']),
    link: z.enum(['connected', 'connecting', 'refused']),
    says: z.string().nullable(),
    /** Of its transport service, as it said when it was last connected to this server. */
    serviceVersion: z.string().nullable().default(null),
    addedAtMs: z.number(),
    enrolledAtMs: z.number().nullable(),
  })
  .meta({ id: 'Host' });

/**
 * `unmanaged`: no services of ours run there; `out-of-date`: its transport service is older than the server; `offline`: it has enrolled
 * and is not connected; `untrusted`: its SSH key waits to be admitted.
 */
export const hostFilter = z.enum(['unmanaged', 'out-of-date', 'offline', 'untrusted']);
export type HostFilter = z.infer<typeof hostFilter>;

/** A computer of a group where no services of ours are known. */
export const foundComputer = z
  .object({ name: z.string(), address: z.string(), group: z.string(), isInScope: z.boolean(), says: z.string().nullable() })
  .meta({ id: 'FoundComputer' });
export type FoundComputer = z.infer<typeof foundComputer>;

/** What a host needs to enrol by itself. It holds a one-time token: hand it over as a secret. */
export const hostKit = z
  .object({
    kind: z.literal('tidemark-kit'),
    host: z.string(),
    server: z.object({ address: z.string(), enrolmentPort: port, controlPort: port }),
    /** SHA-256 of the authority's certificate, hex: the server proves itself by it. */
    fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
    token: z.string(),
    expiresAtMs: z.number(),
    dials,
    listen: z.object({ address: z.string(), port }),
  })
  .meta({ id: 'HostKit' });

export type Host = z.infer<typeof host>;
export type HostKit = z.infer<typeof hostKit>;
export type HostWish = z.infer<typeof hostWish>;

export const hostRoutes = {
  'host.list': {
    method: 'GET',
    path: '/api/v1/hosts',
    permission: 'hosts.read',
    summary: 'The hosts that work for this server, and how they are connected.',
    query: z.object({ filter: hostFilter.optional() }),
    status: 200,
    answer: z.object({
      hosts: z.array(host),
      /** Computers of groups that are no hosts of ours; left out by the filters `out-of-date` and `offline`, which cannot be theirs. */
      found: z.array(foundComputer).default([]),
    }),
    failures: [],
  },
  'host.add': {
    method: 'POST',
    path: '/api/v1/hosts',
    permission: 'hosts.write',
    summary: 'Expects a host; the kit is what it needs to enrol.',
    body: hostWish,
    status: 200,
    answer: z.object({ host, kit: hostKit }),
    failures: ['server.host-exists'],
  },
  'host.kit': {
    method: 'POST',
    path: '/api/v1/hosts/:host/kit',
    permission: 'hosts.write',
    summary: 'A new kit for a host that is expected, or that lost its certificate; earlier unused ones open nothing any more.',
    params: hostParams,
    status: 200,
    answer: hostKit,
    failures: ['server.host-unknown', 'server.host-is-local'],
  },
  'host.install': {
    method: 'POST',
    path: '/api/v1/hosts/:host/install',
    permission: 'hosts.write',
    summary: 'Installs the transport service on a host over SSH; it enrols with a kit of its own.',
    params: hostParams,
    body: z.object({
      credential: z.string().min(1).meta({ description: 'name of a host credential' }),
      package: z.string().min(1).meta({ description: 'a .deb or .rpm on the machine of the server' }),
    }),
    status: 202,
    answer: session,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy', 'server.credential-unknown'],
  },
  'host.remove': {
    method: 'DELETE',
    path: '/api/v1/hosts/:host',
    permission: 'hosts.write',
    summary: 'Removes a host: its certificates are refused at once.',
    params: hostParams,
    query: z.object({ apply: z.stringbool().default(false) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), plan: z.array(z.string()) }),
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy'],
  },
} as const satisfies Record<string, Route>;
