/** Opens the files of a copy with a real mongod and says what it finds. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Document, MongoClient, Timestamp } from 'mongodb';
import type { ClusterTime } from '../../src/base/cluster-time.ts';
import { startMongod, type Mongod } from '../../src/mongo/mongod.ts';

export type OpenedCopy = {
  /** Log line 23987: the checkpoint that WiredTiger found. */
  readonly checkpoint: ClusterTime;
  /** The newest entry of its oplog, up to which it recovered. */
  readonly top: ClusterTime;
  /** Namespaces whose full validation was not clean. */
  readonly invalid: readonly string[];
  readonly collections: number;
};

/** Recovers the copy's own oplog, validates every collection in full, then lets `inspect` look. */
export async function openCopy(
  options: { binary: string; dbPath: string; socketDir: string; args?: readonly string[] },
  inspect: (client: MongoClient, top: ClusterTime) => Promise<void> = async () => {},
): Promise<OpenedCopy> {
  const logPath = join(dirname(options.dbPath), `${options.dbPath.split('/').at(-1)}.log`);
  const mongod = await startMongod({
    binary: options.binary,
    dbPath: options.dbPath,
    socketDir: options.socketDir,
    logPath,
    args: [
      ...(options.args ?? []),
      ...['recoverFromOplogAsStandalone=true', 'takeUnstableCheckpointOnShutdown=true', 'ttlMonitorEnabled=false', 'diagnosticDataCollectionEnabled=false'].flatMap((one) => ['--setParameter', one]),
      '--wiredTigerCacheSizeGB',
      '0.25',
    ],
  });
  try {
    return await look(mongod, logPath, inspect);
  } finally {
    // What it would write at a clean end is of no interest.
    await mongod.kill();
  }
}

async function look(mongod: Mongod, logPath: string, inspect: (client: MongoClient, top: ClusterTime) => Promise<void>): Promise<OpenedCopy> {
  await using client = await mongod.client();
  const [newest] = await client.db('local').collection('oplog.rs').find({}, { projection: { ts: 1 } }).sort({ $natural: -1 }).limit(1).toArray();
  const ts = newest!['ts'] as Timestamp;
  const top = { t: ts.t, i: ts.i };
  const { invalid, collections } = await validateAll(client);
  await inspect(client, top);
  return { checkpoint: recoveredFrom(logPath), top, invalid, collections };
}

async function validateAll(client: MongoClient): Promise<{ invalid: string[]; collections: number }> {
  const invalid: string[] = [];
  let collections = 0;
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  for (const { name } of databases) {
    for (const info of await client.db(name).listCollections().toArray()) {
      if (info.type === 'view') continue;
      const answer: Document = await client.db(name).command({ validate: info.name, full: true });
      collections += 1;
      if (answer['valid'] !== true || (answer['errors'] as unknown[]).length > 0) invalid.push(`${name}.${info.name}: ${JSON.stringify(answer['errors'])}`);
    }
  }
  return { invalid, collections };
}

function recoveredFrom(logPath: string): ClusterTime {
  const line = readFileSync(logPath, 'utf8').split('\n').find((one) => one.includes('"id":23987'));
  const at = line === undefined ? undefined : (JSON.parse(line) as { attr: { recoveryTimestamp: { $timestamp: ClusterTime } } }).attr.recoveryTimestamp.$timestamp;
  if (at === undefined) throw new Error(`no recovery timestamp in ${logPath}`);
  return at;
}
