import * as z from 'zod';
import { packageList, packageWanted } from '../depot.ts';
import { enrolledPart } from '../enrolment.ts';
import { packageManifest, packagePlatform, pieceBytes } from '../packages.ts';
import type { Route } from '../route.ts';
import { session } from '../sessions.ts';
import * as v from '../values.ts';

const port = z.int().min(1).max(65535);
/** How long running tasks have to end; past it nothing is changed. */
const sessionsWithinMs = z.int().min(0).max(10_800_000);
const dials = z.enum(['server', 'host']);
const linkState = z.enum(['connected', 'connecting', 'refused']);
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
    /** What it runs, where that is known before it says so itself. */
    platform: v.hostPlatform.nullable().default(null),
  })
  .refine(({ dataFrom, dataTo }) => dataFrom <= dataTo, { message: 'dataFrom must not be above dataTo' });

/** What is left out stays as it is. */
export const hostConfigureWish = z.object({
  controlPort: port.optional(),
  deployerPort: port.optional(),
  dataFrom: port.optional(),
  dataTo: port.optional(),
  /** Data channels come to the port of the transport service in place of the range. */
  singlePort: z.boolean().optional(),
  /** `restore` lets the transport lay down whole sets for other users and start their mongods; `read` takes that away again. */
  rights: z.enum(['read', 'restore']).optional(),
  sessionsWithinMs: sessionsWithinMs.default(600_000),
});

/** What is left out stays as it is. */
export const hostLimits = z.object({ limits: v.bandwidthLimits.optional(), copiesAtOnce: z.int().min(1).max(32).optional() });
export type HostLimits = z.infer<typeof hostLimits>;

export const host = z
  .object({
    id: z.string(),
    name: z.string(),
    address: z.string(),
    controlPort: port,
    deployerPort: port,
    dataFrom: port,
    dataTo: port,
    singlePort: z.boolean(),
    dials,
    /** As it said itself when it enrolled or was connected; before that, as whoever added it did. Null: not known yet. */
    platform: v.hostPlatform.nullable(),
    state: z.enum(['expected', 'enrolled']),
    /** The link to its transport service. */
    link: linkState,
    says: z.string().nullable(),
    /** Of its transport service, as it greeted last. */
    version: z.string().nullable(),
    /** There is a newer package for one of its services, or one speaks no contract that this server does. */
    outOfDate: z.boolean(),
    /** Its deployer service; null where it has none that has enrolled. */
    deployer: z.object({ link: linkState, says: z.string().nullable(), version: z.string().nullable() }).nullable(),
    /** How fast data may go between it and repositories that are elsewhere, and between its own and others. */
    limits: z.array(v.bandwidthLimit),
    /** How many sets are copied from it at once. */
    copiesAtOnce: z.int(),
    addedAtMs: z.number(),
    enrolledAtMs: z.number().nullable(),
  })
  .meta({ id: 'Host' });

/**
 * `unmanaged`: no services of ours run there; `out-of-date`: there is a newer package for one of its services; `offline`: it has enrolled
 * and is not connected; `untrusted`: its SSH key waits to be admitted.
 */
export const hostFilter = z.enum(['unmanaged', 'out-of-date', 'offline', 'untrusted']);
export type HostFilter = z.infer<typeof hostFilter>;

/** A computer of a group where no services of ours are known. */
export const foundComputer = z
  .object({ name: z.string(), address: z.string(), group: z.string(), isInScope: z.boolean(), says: z.string().nullable() })
  .meta({ id: 'FoundComputer' });
export type FoundComputer = z.infer<typeof foundComputer>;

/** What the warden of a host tells: of a place in its care, or, `place` null, of the host's clock or of itself. */
export const hostAlarm = z.object({ host: z.string(), place: z.string().nullable(), atMs: z.number(), says: z.string() }).meta({ id: 'HostAlarm' });
export type HostAlarm = z.infer<typeof hostAlarm>;

/** What a host needs to enrol by itself. It holds a one-time token: hand it over as a secret. */
export const hostKit = z
  .object({
    kind: z.literal('tidemark-kit'),
    host: z.string(),
    /** The one service it is for; null: the transport or the deployer, whichever shows it first. */
    part: enrolledPart.nullable().default(null),
    server: z.object({ address: z.string(), enrolmentPort: port, controlPort: port }),
    /** SHA-256 of the authority's certificate, hex: the server proves itself by it. */
    fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
    token: z.string(),
    expiresAtMs: z.number(),
    dials,
    listen: z.object({ address: z.string(), port }),
    /** What packages are signed with, PEM; null where the server has no distribution server. */
    packageKey: z.string().nullable().default(null),
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
      /** What stands wrong on any host, whatever the filter. */
      alarms: z.array(hostAlarm).default([]),
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
    failures: ['server.host-exists', 'server.takes-no-hosts'],
  },
  'host.kit': {
    method: 'POST',
    path: '/api/v1/hosts/:host/kit',
    permission: 'hosts.write',
    summary: 'A new kit for a host that is expected, or that lost its certificate; earlier unused ones open nothing any more.',
    params: hostParams,
    body: z.object({ part: enrolledPart.nullable().default(null).meta({ description: 'the one service it is for; null: the transport or the deployer, whichever shows it first' }) }),
    status: 200,
    answer: hostKit,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.takes-no-hosts'],
  },
  'host.installer': {
    method: 'POST',
    path: '/api/v1/hosts/:host/installer',
    permission: 'hosts.write',
    summary: 'A program that installs the deployer service when it is run on the host as root: no SSH at any time. For Windows a kit and a package go with it.',
    params: hostParams,
    body: z.object({ platform: packagePlatform.default('linux-x64') }),
    status: 200,
    answer: z
      .object({ host: z.string(), program: z.string(), version: z.string(), expiresAtMs: z.number(), carried: z.object({ kit: hostKit, package: packageManifest }).nullable().meta({ description: 'on Windows the program fetches nothing: what has to lie beside it' }) })
      .meta({ id: 'HostInstaller' }),
    failures: ['server.host-unknown', 'server.host-is-local', 'server.takes-no-hosts', 'server.no-depot', 'server.depot-not-reached'],
  },
  'host.install': {
    method: 'POST',
    path: '/api/v1/hosts/:host/install',
    permission: 'hosts.write',
    summary: 'Installs both services on a host: the deployer over SSH unless it answers already, the transport by the deployer.',
    params: hostParams,
    body: z.object({
      credential: z.string().min(1).nullable().default(null).meta({ description: 'name of a host credential; not needed where the deployer answers' }),
      package: z.string().min(1).nullable().default(null).meta({ description: 'a .deb or .rpm of tidemark-deployer on the machine of the server, for a first contact; else the distribution server has it' }),
    }),
    status: 202,
    answer: session,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy', 'server.credential-unknown', 'server.takes-no-hosts', 'server.no-depot'],
  },
  'host.update': {
    method: 'POST',
    path: '/api/v1/hosts/:host/update',
    permission: 'hosts.write',
    summary: 'Updates the services of a host to the newest packages; running tasks end first, what is not healthy is taken back.',
    params: hostParams,
    body: z.object({ sessionsWithinMs: sessionsWithinMs.default(3_600_000) }),
    status: 202,
    answer: session,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy', 'server.deployer-missing', 'server.no-depot'],
  },
  'host.configure': {
    method: 'POST',
    path: '/api/v1/hosts/:host/configure',
    permission: 'hosts.write',
    summary: 'Changes ports and rights of the services of a host; a port on which they are not reached is taken back.',
    params: hostParams,
    body: hostConfigureWish,
    status: 202,
    answer: session,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy', 'server.host-exists', 'server.deployer-missing', 'server.question-not-understood'],
  },
  'host.limit': {
    method: 'PUT',
    path: '/api/v1/hosts/:host/limits',
    permission: 'hosts.write',
    summary: 'Limit how fast the tasks of a host send and receive, for those that start from now on, and how many sets are copied from it at once.',
    params: hostParams,
    body: hostLimits,
    status: 200,
    answer: host,
    failures: ['server.host-unknown'],
  },
  'host.uninstall': {
    method: 'POST',
    path: '/api/v1/hosts/:host/uninstall',
    permission: 'hosts.write',
    summary: 'Takes the transport service off a host, or everything of ours, after which the host is forgotten.',
    params: hostParams,
    body: z.object({ all: z.boolean().default(false), data: z.boolean().default(false).meta({ description: 'its settings, its user and what it kept as well' }) }),
    status: 202,
    answer: session,
    failures: ['server.host-unknown', 'server.host-is-local', 'server.host-busy', 'server.deployer-missing'],
  },
  'package.list': {
    method: 'GET',
    path: '/api/v1/packages',
    permission: 'hosts.read',
    summary: 'The packages that the distribution server offers, and what it refuses.',
    status: 200,
    answer: packageList,
    failures: ['server.no-depot', 'server.depot-not-reached'],
  },
  'package.bytes': {
    method: 'GET',
    path: '/api/v1/packages/:name/:version/:platform/bytes',
    permission: 'hosts.write',
    summary: 'Some bytes of a package, for somebody who carries it to a host.',
    params: packageWanted,
    query: z.object({ from: z.coerce.number().int().min(0), length: z.coerce.number().int().min(1).max(pieceBytes) }),
    status: 200,
    answer: z.object({ base64: z.string() }),
    failures: ['server.no-depot', 'server.depot-not-reached'],
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
