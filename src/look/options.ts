/**
 * The options of a mongod, from its command line and its configuration file; the command line counts where both speak.
 *
 * A file is YAML, nested or with dots in its names, or in the old form `name = value`. mongod takes every value as text
 * and so does this. Values behind `__exec` and `__rest` come from a program or an address when mongod starts: they are
 * not known here, and are named as such.
 */
import { parseDocument } from 'yaml';

export type Options = ReadonlyMap<string, string>;
export type FileOptions = { readonly options: Options; readonly expanded: readonly string[]; readonly problem: string | null };

/** The name in the file for each name on the command line; both forms of the file come to the first. */
const names: Readonly<Record<string, string>> = {
  dbpath: 'storage.dbPath',
  directoryperdb: 'storage.directoryPerDB',
  storageengine: 'storage.engine',
  port: 'net.port',
  bind_ip: 'net.bindIp',
  bind_ip_all: 'net.bindIpAll',
  tlsmode: 'net.tls.mode',
  sslmode: 'net.tls.mode',
  replset: 'replication.replSetName',
  keyfile: 'security.keyFile',
  enableencryption: 'security.enableEncryption',
  logpath: 'systemLog.path',
  configsvr: 'sharding.clusterRole=configsvr',
  shardsvr: 'sharding.clusterRole=shardsvr',
};

const older: Readonly<Record<string, string>> = { 'net.ssl.mode': 'net.tls.mode', 'replication.replSet': 'replication.replSetName' };

const flags = new Set(['directoryperdb', 'bind_ip_all', 'enableencryption', 'configsvr', 'shardsvr']);

export function optionsOfArguments(args: readonly string[]): Options {
  const found = new Map<string, string>();
  for (let at = 0; at < args.length; at++) {
    const match = /^--([A-Za-z_]+)(?:=(.*))?$/s.exec(args[at]!);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || names[name] === undefined) continue;
    if (flags.has(name)) put(found, name, match?.[2] ?? 'true');
    else if (match?.[2] !== undefined) put(found, name, match[2]);
    else if (args[at + 1] !== undefined) put(found, name, args[++at]!);
  }
  return found;
}

function put(found: Map<string, string>, name: string, value: string): void {
  const [key, fixed] = names[name]!.split('=') as [string, string?];
  if (fixed === undefined) found.set(key, value);
  else if (value === 'true') found.set(key, fixed);
}

export function optionsOfFile(text: string): FileOptions {
  try {
    const document = parseDocument(text, { schema: 'failsafe', uniqueKeys: false, strict: false, logLevel: 'silent' });
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (document.errors.length === 0 && typeof value === 'object' && value !== null && !Array.isArray(value)) return flattened(value);
    if (document.errors.length === 0 && value === null) return { options: new Map(), expanded: [], problem: null };
  } catch {
    // Not YAML: the old form is next.
  }
  const options = optionsOfLines(text);
  return { options, expanded: [], problem: options.size === 0 ? 'the configuration file is in no known form' : null };
}

function flattened(document: object): FileOptions {
  const options = new Map<string, string>();
  const expanded: string[] = [];
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return void options.set(older[path] ?? path, typeof value === 'string' ? value : '');
    if (Array.isArray(value)) return void options.set(path, value.map(String).join(','));
    if ('__exec' in value || '__rest' in value) return void expanded.push(older[path] ?? path);
    for (const [name, inner] of Object.entries(value)) walk(inner, path === '' ? name : `${path}.${name}`);
  };
  walk(document, '');
  return { options, expanded, problem: null };
}

function optionsOfLines(text: string): Options {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*(?:#.*)?$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (name !== undefined && names[name] !== undefined) put(found, name, match![2]!.replace(/^(["'])(.*)\1$/, '$2'));
  }
  return found;
}
