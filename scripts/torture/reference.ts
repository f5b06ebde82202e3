/**
 * The second path: the archived oplog replayed by commands onto an empty mongod, from the beginning of the set's life.
 * It shares nothing with native replay but the archive. It only goes forward; a look back starts a new one.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openCommandReplay, type CommandReplay } from '../../src/mongo/command-replay.ts';
import { startMongod, type Mongod } from '../../src/mongo/mongod.ts';
import type { OwnArchive } from './archive.ts';
import { stateOf, type State } from './state.ts';

export type Reference = AsyncDisposable & {
  readonly at: ClusterTime;
  /** Brings it to a moment at or after where it is, and says what is there. */
  advance(to: ClusterTime): Promise<State>;
};

export async function openReference(options: { binary: string; directory: string; name: string; archive: OwnArchive }): Promise<Reference> {
  const dbPath = join(options.directory, options.name);
  const { mkdirSync } = await import('node:fs');
  mkdirSync(dbPath, { recursive: true });
  const quiet = ['--setParameter', 'ttlMonitorEnabled=false', '--setParameter', 'disableLogicalSessionCacheRefresh=true', '--wiredTigerCacheSizeGB', '0.25'];
  const mongod: Mongod = await startMongod({ binary: options.binary, dbPath, socketDir: join(options.directory, `${options.name}-s`), logPath: `${dbPath}.log`, args: quiet });
  const client: MongoClient = await mongod.client();
  const replay: CommandReplay = await openCommandReplay({ client });
  const chain = await options.archive.chain();
  let at = chain.after;
  return {
    get at() {
      return at;
    },
    async advance(to) {
      if (compareTimes(to, at) < 0) throw new Error('a reference does not go back');
      for await (const batch of options.archive.read(at, to)) await replay.apply(batch);
      at = to;
      return await stateOf(client);
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await mongod.kill();
      rmSync(dbPath, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
