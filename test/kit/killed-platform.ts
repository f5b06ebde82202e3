/** A protected set whose platform loses parts by SIGKILL: what a session has come to, and that nothing is left behind. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { openPlatform, type Platform } from './platform.ts';
import { openReplicaSet, type ReplicaSet } from './replica-set.ts';

export type EndedSession = { id: string; state: string; steps: { name: string }[]; failure: { code: string; message: string; hint: string } | null };

export const endStates: ReadonlySet<string> = new Set(['success', 'warning', 'failed', 'stopped']);

export type KilledPlatform = AsyncDisposable & {
  readonly set: ReplicaSet;
  readonly client: MongoClient;
  readonly platform: Platform;
  /** The restore point that was made before anything was killed. */
  readonly firstPoint: string;
  /** Asks until the server takes it, for it may be down; answers the session. */
  start(...command: string[]): Promise<string>;
  end(id: string): Promise<EndedSession>;
  /** Kills `part` as soon as the session has reached its step number `step`, and answers how the session ended. */
  killAt(id: string, step: number, part: string): Promise<EndedSession>;
  nothingLeftBehind(): Promise<void>;
};

/** A set of two members with 20,000 orders, and one restore point of it. */
export async function openKilledPlatform(): Promise<KilledPlatform> {
  await using stack = new AsyncDisposableStack();
  const set = stack.use(await openReplicaSet({ members: 2 }));
  const client = stack.use(await set.client());
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 20_000 }, (_, n) => ({ n, text: `order ${n}`.repeat(8) })));
  const platform = stack.use(await openPlatform({ keptIn: [process.execPath] }));
  await platform.ok('set', 'add', set.uri);
  const firstPoint = (await platform.ok('backup', 'run', 'rs0')).point as string;

  const look = async (id: string): Promise<EndedSession | undefined> => {
    const { code, json } = await platform.tidemark('session', 'show', id);
    return code === 0 ? json : undefined;
  };
  const end = async (id: string): Promise<EndedSession> =>
    await until(`session ${id} to end`, 180_000, async () => {
      const session = await look(id);
      return session !== undefined && endStates.has(session.state) ? session : undefined;
    }, { everyMs: 300 });
  const mounts = (): string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(platform.dataDir));
  const kept = stack.move();
  return {
    set,
    client,
    platform,
    firstPoint,
    end,
    start: async (...command) =>
      await until('the server to take an order', 60_000, async () => {
        const { code, json } = await platform.tidemark(...command, '--detach');
        return code === 0 ? (json.session as string) : undefined;
      }, { everyMs: 300 }),
    async killAt(id, step, part) {
      await platform.steps(id, ({ length }) => length >= step);
      for (const pid of platform.pids(part)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself in this instant.
        }
      }
      return await end(id);
    },
    async nothingLeftBehind() {
      for (const member of set.members) {
        await using direct = await member.client();
        const { fsyncLock } = await direct.db('admin').command({ currentOp: 1 });
        assert.notEqual(fsyncLock, true, `${member.name} is still locked`);
      }
      await until('mounts to be gone', 60_000, () => (mounts().length === 0 ? true : undefined), { everyMs: 200 });
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}
