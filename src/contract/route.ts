/**
 * What a REST route declares: one value from which the server validates the question and the answer, the reference
 * page is generated, and clients take their types. Codes in `failures` are those a caller should know how to meet;
 * sign-in, validation and link failures can come from any route and are not repeated.
 */
import type * as z from 'zod';

export const permissions = {
  'server.read': 'See the server, its hosts and what they lack.',
  'hosts.read': 'See hosts and how they are connected.',
  'hosts.write': 'Add and remove hosts, and make kits for them.',
  'groups.read': 'See protection groups, and what their rescans found.',
  'groups.write': 'Add, change, test and remove protection groups.',
  'groups.rescan': 'Have a group looked at again, with the deployments that this brings.',
  'sets.read': 'See protected sets and their windows.',
  'sets.write': 'Add and remove protected sets.',
  'backups.run': 'Start backups.',
  'policies.read': 'See policies and their runs, and what retention would delete.',
  'policies.write': 'Add, change, enable and remove policies; set how many sets are copied at once.',
  'policies.run': 'Run policies by hand, stop their runs, retry what failed.',
  'points.read': 'See restore points.',
  'points.verify': 'Prove restore points by opening them.',
  'points.hold': 'Hold restore points and release them.',
  'points.delete': 'Delete restore points.',
  'restores.run': 'Plan and carry out restores, publish moments, search the archived oplog.',
  'credentials.read': 'See which credentials are kept, without their secrets.',
  'credentials.write': 'Add and remove credentials.',
  'repositories.read': 'See repositories.',
  'repositories.write': 'Add repositories.',
  'repositories.maintain': 'Check and sweep repositories.',
  'ports.read': 'See the port plan, and export it as firewall rules.',
  'ports.check': 'Have hosts try the ports of the plan.',
  'sessions.read': 'See and watch sessions.',
  'sessions.write': 'Stop sessions; to retry one takes the permission that started it, too.',
  'people.read': 'See users, roles and the tokens of others.',
  'people.write': 'Add, change, disable and remove users and roles; revoke the tokens of others.',
  'directory.read': 'See how the directory is reached, and which of its groups have which roles.',
  'directory.write': 'Set, test and remove the directory.',
  'audit.read': 'See the audit and verify it.',
  'notifications.read': 'See who is told what, and how the telling stands.',
  'notifications.write': 'Add, test and remove notifications.',
  'metrics.read': 'Read the metrics and the health of the server.',
  /** No role has these two. */
  self: 'One\'s own password, second factor and tokens. Whoever signed in has it.',
  anyone: 'Sign in. The one route that is answered without a token.',
} as const;
export type Permission = keyof typeof permissions;

export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: `/api/v1/${string}` | '/metrics' | '/health';
  readonly permission: Permission;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** 200 answered, 201 made, 202 a session was started. */
  readonly status: 200 | 201 | 202;
  readonly answer: z.ZodType;
  /** The answer is a stream of server-sent events; `answer` is the data of one event. */
  readonly stream?: true;
  /** The answer is a text of this type, and not JSON. */
  readonly text?: string;
  readonly failures: readonly string[];
};

type SchemaOf<R, K extends keyof Route> = R extends { readonly [P in K]: infer S extends z.ZodType } ? S : never;
type Parsed<S> = [S] extends [never] ? undefined : S extends z.ZodType ? z.output<S> : undefined;
type Given<S> = [S] extends [never] ? undefined : S extends z.ZodType ? z.input<S> : undefined;

/** What a handler receives, defaults filled in. */
export type Question<R extends Route> = { readonly params: Parsed<SchemaOf<R, 'params'>>; readonly query: Parsed<SchemaOf<R, 'query'>>; readonly body: Parsed<SchemaOf<R, 'body'>> };

/** What a client sends; fields with defaults may be left out. */
export type Asked<R extends Route> = { [K in 'params' | 'query' | 'body' as SchemaOf<R, K> extends never ? never : K]: Given<SchemaOf<R, K>> };

export type Answer<R extends Route> = z.output<SchemaOf<R, 'answer'>>;
