/**
 * The second path: the archived oplog replayed by commands onto an empty mongod, from the beginning of the set's life.
 * It shares nothing with native replay but the archive. It only goes forward; a look back starts a new one.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { openCommandReplay, startReplayTarget } from '../../src/mongo/command-replay.ts';
import type { OwnArchive } from './archive.ts';
import { stateOf, type State } from './state.ts';

export type Reference = AsyncDisposable & {
  readonly at: ClusterTime;
  /** Brings it to a moment at or after where it is, and says what is there. */
  advance(to: ClusterTime): Promise<State>;
};

export async function openReference(options: { binary: string; directory: string; name: string; archive: OwnArchive }): Promise<Reference> {
  const dbPath = join(options.directory, options.name);
  mkdirSync(dbPath, { recursive: true });
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dbPath, { recursive: true, force: true, maxRetries: 5 }));
  const target = await startReplayTarget({ binary: options.binary, dbPath, socketDir: join(options.directory, `${options.name}-s`), logPath: `${dbPath}.log`, cacheGb: 0.25 });
  stack.defer(async () => void (await target.kill()));
  const client = stack.use(await target.client());
  const replay = stack.use(await openCommandReplay({ socket: target.socket, connections: 2 }));
  const { after } = await options.archive.chain();
  let at: ClusterTime = after;
  const forward = async (to: ClusterTime): Promise<State> => {
    if (compareTimes(to, at) < 0) throw new Error('a reference does not go back');
    for await (const batch of options.archive.read(at, to)) await replay.apply(batch, { through: to });
    await replay.settle();
    at = to;
    return await stateOf(client);
  };
  // A round that fails early does not wait for its snapshot: the next one must not start in the middle of it.
  let last: Promise<unknown> = Promise.resolve();
  return {
    get at() {
      return at;
    },
    async advance(to) {
      const next = last.then(async () => await forward(to));
      last = next.catch(() => {});
      return await next;
    },
    [Symbol.asyncDispose]: async () => {
      await last;
      await stack.disposeAsync();
    },
  };
}
