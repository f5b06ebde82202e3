/** What a copy must know of the mongod it is taken from. */
import type { Document, MongoClient, Timestamp } from 'mongodb';
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import { labelOfClient, parseHost, runCommand, type HostAndPort } from '../connect.ts';
import { noCheckpointYet } from './failures.ts';

export type CopiedMember = {
  /** host:port as the set knows it. */
  readonly name: string;
  readonly host: HostAndPort;
  readonly isPrimary: boolean;
  readonly mongoVersion: string;
  readonly fcv: string;
  /** Seconds between the end of one checkpoint and the start of the next; 0: there are none by themselves. */
  readonly checkpointSeconds: number;
  /** Paths in dbPath that are mongod's, but not data. */
  readonly except: ReadonlySet<string>;
};

const ASK_MS = 20_000;

export async function lookAtMember(client: MongoClient): Promise<CopiedMember> {
  const ask = async (command: Document): Promise<Document> => await runCommand(client, 'admin', command, { deadlineMs: ASK_MS });
  const hello = await ask({ hello: 1 });
  const build = await ask({ buildInfo: 1 });
  const fcv = await ask({ getParameter: 1, featureCompatibilityVersion: 1 });
  const parsed = ((await ask({ getCmdLineOpts: 1 }))['parsed'] ?? {}) as Document;
  const storage = (parsed['storage'] ?? {}) as Document;
  const name = String(hello['me'] ?? labelOfClient(client));
  return {
    name,
    host: parseHost(name),
    isPrimary: hello['isWritablePrimary'] === true,
    mongoVersion: String(build['version']),
    fcv: String((fcv['featureCompatibilityVersion'] as Document)['version']),
    checkpointSeconds: Number(storage['syncPeriodSecs'] ?? 60),
    except: insideOf(String(storage['dbPath'] ?? '/data/db'), [parsed['systemLog']?.['path'], parsed['processManagement']?.['pidFilePath'], parsed['security']?.['keyFile']]),
  };
}

/** Those of `paths` that lie in `directory`, relative to it. */
export function insideOf(directory: string, paths: readonly unknown[]): ReadonlySet<string> {
  const base = `${directory.replace(/\/+$/, '')}/`;
  return new Set(paths.flatMap((path) => (typeof path === 'string' && path.startsWith(base) ? [path.slice(base.length)] : [])));
}

export type MemberTimes = {
  /** Of the newest complete stable checkpoint. */
  readonly checkpoint: ClusterTime;
  readonly applied: Optime;
  /** Everything up to here is in the journal's files. */
  readonly durable: Optime;
};

export async function readTimes(client: MongoClient, member: string): Promise<MemberTimes> {
  const status = await runCommand(client, 'admin', { replSetGetStatus: 1 }, { deadlineMs: ASK_MS });
  const checkpoint = status['lastStableRecoveryTimestamp'] as Timestamp | undefined;
  if (checkpoint === undefined || checkpoint === null || checkpoint.isZero()) throw noCheckpointYet({ member, why: 'lastStableRecoveryTimestamp is not set' });
  const optimes = status['optimes'] as Document;
  return { checkpoint: { t: checkpoint.t, i: checkpoint.i }, applied: optimeOf(optimes['appliedOpTime'] as Document), durable: optimeOf(optimes['durableOpTime'] as Document) };
}

function optimeOf(document: Document): Optime {
  const ts = document['ts'] as Timestamp;
  return { t: ts.t, i: ts.i, term: Number(document['t']) };
}

/** Whether a checkpoint is being written at this moment; undefined when this mongod does not say. */
export async function isCheckpointing(client: MongoClient): Promise<boolean | undefined> {
  const status = await runCommand(client, 'admin', { serverStatus: 1, repl: 0, metrics: 0, locks: 0, tcmalloc: 0 }, { deadlineMs: ASK_MS });
  const engine = (status['wiredTiger'] ?? {}) as Document;
  const running: unknown = engine['transaction']?.['transaction checkpoint currently running'] ?? engine['checkpoint']?.['progress state'];
  return running === undefined ? undefined : Number(running) !== 0;
}
