/** Takes a `mongodb://` or `mongodb+srv://` string apart into the fields of a target, so that nothing but fields is ever stored or sent. */
import { uriNotUnderstood } from './failures.ts';
import type { MongoTarget } from './values.ts';

/** What DNS has behind the name of a `mongodb+srv://` string. */
export type SrvFound = { readonly hosts: MongoTarget['hosts']; readonly replicaSet: string | null; readonly authSource: string | null };

export type TakenApart = { readonly target: MongoTarget; /** Files named in the string, for the client to read. */ readonly caFile?: string; readonly certificateKeyFile?: string };

const scheme = 'mongodb://';
const srvScheme = 'mongodb+srv://';

/** The name that is to be looked up before the string can be taken apart; undefined for one that names its members. */
export function srvNameOf(uri: string): string | undefined {
  if (!uri.startsWith(srvScheme)) return undefined;
  const [authority = ''] = uri.slice(srvScheme.length).split(/[/?]/, 1);
  const name = authority.slice(authority.lastIndexOf('@') + 1);
  if (!/^(?=.{1,253}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(name)) throw uriNotUnderstood({ why: `"${name}" is not one name in full, without a port: mongodb+srv names its members in DNS` });
  return name;
}

export function takeUriApart(uri: string, srv?: SrvFound): TakenApart {
  const name = srvNameOf(uri);
  if (name === undefined && !uri.startsWith(scheme)) throw uriNotUnderstood({ why: 'it does not begin with mongodb://' });
  const [beforeQuery = '', queryText = ''] = uri.slice(name === undefined ? scheme.length : srvScheme.length).split('?', 2);
  const [authority = '', authDatabase = ''] = beforeQuery.split('/', 2);
  const at = authority.lastIndexOf('@');
  const hosts = srv?.hosts ?? authority.slice(at + 1).split(',').map(hostOf);
  const query = new URLSearchParams(queryText);
  const service = query.get('srvServiceName');
  if (service !== null && service !== 'mongodb') throw uriNotUnderstood({ why: `srvServiceName is ${service}, and only mongodb is looked up` });
  const saysTls = query.get('tls') ?? query.get('ssl');
  const wantsTls = (name !== undefined && saysTls !== 'false') || query.get('tls') === 'true' || query.get('ssl') === 'true' || query.has('tlsCAFile') || query.has('tlsCertificateKeyFile');
  const target: MongoTarget = {
    hosts,
    ...(name !== undefined && { srv: name }),
    replicaSet: query.get('replicaSet') ?? srv?.replicaSet ?? undefined,
    credential: credentialOf(at < 0 ? '' : authority.slice(0, at), query, decoded(authDatabase) || (srv?.authSource ?? '')),
    tls: wantsTls ? {} : undefined,
  };
  return { target, caFile: query.get('tlsCAFile') ?? undefined, certificateKeyFile: query.get('tlsCertificateKeyFile') ?? undefined };
}

/** How to connect to a set by its members. */
export function uriOfSet(name: string, members: readonly { readonly host: string; readonly port: number }[]): string {
  const hosts = members.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`));
  return `${scheme}${hosts.join(',')}/?replicaSet=${encodeURIComponent(name)}`;
}

function hostOf(text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  if (match?.[1] === undefined) throw uriNotUnderstood({ why: `"${text}" is not HOST or HOST:PORT` });
  const port = match[2] === undefined ? 27017 : Number(match[2]);
  if (port < 1 || port > 65535) throw uriNotUnderstood({ why: `${match[2]} is not a port` });
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function credentialOf(userInfo: string, query: URLSearchParams, authDatabase: string): MongoTarget['credential'] {
  if (query.get('authMechanism') === 'MONGODB-X509') return { kind: 'x509' };
  if (userInfo === '') return { kind: 'none' };
  const colon = userInfo.indexOf(':');
  const user = decoded(colon < 0 ? userInfo : userInfo.slice(0, colon));
  const password = colon < 0 ? '' : decoded(userInfo.slice(colon + 1));
  return { kind: 'scram', user, password, authSource: query.get('authSource') ?? (authDatabase === '' ? 'admin' : authDatabase) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw uriNotUnderstood({ why: 'a part of it is not percent-encoded as it should be' });
  }
}
