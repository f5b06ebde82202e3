import { MongoClient, MongoError, MongoServerError, MongoServerSelectionError, type Document, type MongoClientOptions } from 'mongodb';
import './driver-repair.ts';
import { hostLabel } from '../base/host-label.ts';
import { isFailure, type Failure } from '../base/failure.ts';
import { diagnose } from './connect-diagnosis.ts';
import { refusedRight } from './rights.ts';
import { commandFailed, signInRefused, tlsFailed, unreachable } from './failures.ts';

export type HostAndPort = { readonly host: string; readonly port: number };

export type MongoCredential =
  | { readonly kind: 'none' }
  | { readonly kind: 'scram'; readonly user: string; readonly password: string; readonly authSource?: string }
  | { readonly kind: 'x509' };

export type MongoTls = {
  readonly caPem?: string;
  readonly certificatePem?: string;
  readonly keyPem?: string;
  readonly keyPassword?: string;
};

/** How mongod is reached: members of a set by name, or one mongod by its socket. */
export type MongoAddress =
  | {
      readonly hosts: readonly HostAndPort[];
      readonly replicaSet?: string;
      readonly credential?: MongoCredential;
      readonly tls?: MongoTls;
    }
  | { readonly socket: string };

export type ClientOptions = {
  /** Talk to this member and to no other, in whatever state it is. Without it, to the set that `hosts` belong to. */
  readonly member?: HostAndPort;
  /** How long to look for a server that answers. */
  readonly deadlineMs?: number;
  /** The longest silence of one operation before its connection is given up; null for work that may take hours. */
  readonly silenceMs?: number | null;
  readonly connections?: number;
  readonly appName?: string;
  /** Do not look for the reason when it fails. */
  readonly undiagnosed?: boolean;
  readonly more?: MongoClientOptions;
};

/** Opens a client that has already spoken with a server. Close it, or hold it with `await using`. */
export async function openClient(address: MongoAddress, options: ClientOptions = {}): Promise<MongoClient> {
  let client: MongoClient | undefined;
  try {
    client = makeClient(address, options);
    await client.connect();
    await client.db('admin').command({ ping: 1 }, { readPreference: 'primaryPreferred' });
    return client;
  } catch (error) {
    await client?.close().catch(() => {});
    throw await reasonOf(error, address, options);
  }
}

function makeClient(address: MongoAddress, options: ClientOptions): MongoClient {
  return new MongoClient(uriOf(address, options.member), {
    appName: options.appName ?? 'tidemark',
    serverSelectionTimeoutMS: options.deadlineMs ?? 10_000,
    connectTimeoutMS: Math.min(options.deadlineMs ?? 10_000, 10_000),
    socketTimeoutMS: options.silenceMs === null ? 0 : (options.silenceMs ?? 60_000),
    maxPoolSize: options.connections ?? 10,
    retryWrites: true,
    ...signInOptions(address),
    ...options.more,
  });
}

async function reasonOf(error: unknown, address: MongoAddress, options: ClientOptions): Promise<Failure> {
  const failed = mongoFailure(error, labelOf(address, options.member), { command: 'ping', user: userOf(address) });
  if ('socket' in address || options.undiagnosed === true) return failed;
  return await diagnose(failed, {
    hosts: options.member === undefined ? address.hosts : [options.member],
    replicaSet: options.member === undefined ? address.replicaSet : undefined,
    tls: address.tls !== undefined,
    plainly: async (host) => await openClient({ hosts: [host], tls: address.tls }, { member: host, deadlineMs: 2_000, undiagnosed: true }),
  });
}

/** The same way of signing in, for one member only. */
export function toMember(address: MongoAddress, member: HostAndPort): MongoAddress {
  return 'socket' in address ? address : { ...address, hosts: [member], replicaSet: undefined };
}

/** Runs a command and turns what mongod or the network answers into a failure of this room. */
export async function runCommand(
  client: MongoClient,
  db: string,
  command: Document,
  options: { deadlineMs?: number } = {},
): Promise<Document> {
  const bounded = options.deadlineMs === undefined ? command : { ...command, maxTimeMS: options.deadlineMs };
  try {
    return await client.db(db).command(bounded);
  } catch (error) {
    throw mongoFailure(error, labelOfClient(client), { command: Object.keys(command)[0] ?? '', user: userOfClient(client) });
  }
}

/** Work that asks several things of one client: what the driver throws in it becomes a failure of this room, a bug stays one. */
export async function withFailures<T>(client: MongoClient, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof MongoError ? mongoFailure(error, labelOfClient(client), { command: what, user: userOfClient(client) }) : error;
  }
}

export { hostLabel };

/** `rs0/db1:27017,db2:27017`, or the path of a socket: for messages. */
export function labelOf(address: MongoAddress, member?: HostAndPort): string {
  if ('socket' in address) return address.socket;
  const hosts = (member === undefined ? address.hosts : [member]).map(hostLabel).join(',');
  return address.replicaSet === undefined || member !== undefined ? hosts : `${address.replicaSet}/${hosts}`;
}

/** Splits `host:port` as replica-set configurations write it; IPv6 in brackets. */
export function parseHost(text: string): HostAndPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+|[^\]]*?))(?::(\d+))?$/.exec(text);
  return { host: match?.[1] ?? match?.[2] ?? text, port: Number(match?.[3] ?? 27017) };
}

/** Says what an error of the driver means. A failure passes through unchanged. */
export function mongoFailure(error: unknown, address: string, at: { command: string; user: string }): Failure {
  if (isFailure(error)) return error;
  const cause = rootOf(error);
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as { code?: unknown }).code;
  if (cause instanceof MongoServerError) {
    if (code === 18 || code === 8000) return signInRefused({ address, user: at.user, why }, error);
    if (code === 13) return refusedRight(why, address, at, error);
    return commandFailed({ address, command: at.command, why: `${why} (${cause.codeName ?? String(code)})` }, error);
  }
  const text = `${why} ${typeof code === 'string' ? code : ''}`;
  if (/certificate|\bPEM\b|ASN1|OSSL|\bSSL\b|\bTLS\b|wrong version number|self.signed|ERR_TLS|EPROTO|altnames/i.test(text)) return tlsFailed({ address, why }, error);
  return unreachable({ address: failedHost(error) ?? address, why: plainNetwork(text, why) }, error);
}

/** A server-selection error hides the reason in the description of the servers it tried. */
function rootOf(error: unknown): unknown {
  if (error instanceof MongoServerSelectionError) {
    for (const server of error.reason?.servers?.values() ?? []) if (server.error) return rootOf(server.error);
  }
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && !(error instanceof MongoServerError) ? rootOf(cause) : error;
}

function failedHost(error: unknown): string | undefined {
  if (!(error instanceof MongoServerSelectionError)) return undefined;
  const failed = [...(error.reason?.servers?.values() ?? [])].filter((server) => server.error).map((server) => server.address);
  return failed.length === 0 ? undefined : failed.join(', ');
}

function plainNetwork(text: string, why: string): string {
  if (/ECONNREFUSED/.test(text)) return 'connection refused; nothing listens there';
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'no such host name';
  if (/EHOSTUNREACH|ENETUNREACH/.test(text)) return 'no route to that host';
  if (/ENOENT/.test(text)) return 'no such socket';
  if (/EACCES/.test(text)) return 'no right to use that socket';
  if (/timed? ?out|ETIMEDOUT/i.test(text)) return `no answer in time (${why})`;
  if (/ECONNRESET|closed/.test(text)) return `the connection was closed by the other side (${why}); it may ask for TLS`;
  return why;
}

function uriOf(address: MongoAddress, member: HostAndPort | undefined): string {
  if ('socket' in address) return `mongodb://${encodeURIComponent(address.socket)}/?directConnection=true`;
  if (member !== undefined) return `mongodb://${hostLabel(member)}/?directConnection=true`;
  const hosts = address.hosts.map(hostLabel).join(',');
  const set = address.replicaSet;
  if (set !== undefined) return `mongodb://${hosts}/?replicaSet=${encodeURIComponent(set)}`;
  return `mongodb://${hosts}/?directConnection=${address.hosts.length === 1}`;
}

function signInOptions(address: MongoAddress): MongoClientOptions {
  if ('socket' in address) return {};
  const { credential, tls } = address;
  const secure: MongoClientOptions =
    tls === undefined && credential?.kind !== 'x509'
      ? {}
      : { tls: true, ca: tls?.caPem, cert: tls?.certificatePem, key: tls?.keyPem ?? tls?.certificatePem, passphrase: tls?.keyPassword };
  for (const name of ['ca', 'cert', 'key', 'passphrase'] as const) if (secure[name] === undefined) delete secure[name];
  if (credential?.kind === 'scram') {
    const auth = { username: credential.user, password: credential.password };
    return { ...secure, auth, authSource: credential.authSource ?? 'admin' };
  }
  return credential?.kind === 'x509' ? { ...secure, authMechanism: 'MONGODB-X509', authSource: '$external' } : secure;
}

export function userOf(address: MongoAddress): string {
  if ('socket' in address || address.credential === undefined || address.credential.kind === 'none') return 'a client without user';
  return address.credential.kind === 'scram' ? address.credential.user : 'the owner of the certificate';
}

export function labelOfClient(client: MongoClient): string {
  const { hosts, replicaSet } = client.options;
  const names = hosts.map(String).join(',');
  return replicaSet === undefined || replicaSet === null ? names : `${replicaSet}/${names}`;
}

function userOfClient(client: MongoClient): string {
  const credentials = client.options.credentials;
  if (credentials === undefined) return 'a client without user';
  return credentials.username === '' ? 'the owner of the certificate' : credentials.username;
}
