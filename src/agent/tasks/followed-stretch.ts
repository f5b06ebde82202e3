/**
 * From where on a point leads to the newest entry of the chain that is followed: the chain's start, the last barrier or the last cut
 * in it. The server reckons by it what would be lost (domain/archived-stretches.ts). Retention cuts while a follower runs, so cuts are looked for again.
 */
import { compareTimes, latest, sameTime, type ClusterTime } from '../../base/cluster-time.ts';
import { describe } from '../../base/failure.ts';
import type { OplogArchive } from '../../repository/archive.ts';
import type { TaskContext } from '../task-context.ts';

type Cut = { readonly after: ClusterTime; readonly through: ClusterTime };
/** `cuts`: the newest ones, oldest first. */
export type ToldStretch = { readonly since: ClusterTime; readonly isBehindBarrier: boolean; readonly cuts: readonly Cut[] };
export type FollowedStretch = Disposable & { told(): ToldStretch; barrier(at: ClusterTime): void; look(): Promise<void> };

/** As many as the server keeps stretches. */
const mostCuts = 16;
const lookEveryMs = 60_000;

export async function followStretch(oplog: Pick<OplogArchive, 'chains' | 'barriers' | 'cuts'>, chain: string, context: Pick<TaskContext, 'log'>): Promise<FollowedStretch> {
  const [{ chains }, { barriers }] = [await oplog.chains(), await oplog.barriers(chain)];
  const start: ClusterTime = chains.find(({ id }) => id === chain)?.start.after ?? { t: 0, i: 0 };
  let barrier = barriers.at(-1)?.at;
  let cuts: Cut[] = [];
  const look = async (): Promise<void> => {
    cuts = (await oplog.cuts(chain)).sort((a, b) => compareTimes(a.through, b.through)).slice(-mostCuts);
  };
  await look();
  const timer = setInterval(() => {
    look().catch((error: unknown) => context.log.warn('it was not seen what retention has cut; it is looked for again', { why: describe(error) }));
  }, lookEveryMs);
  return {
    told() {
      const { t, i } = [barrier, cuts.at(-1)?.through].reduce<ClusterTime>((far, next) => (next === undefined ? far : latest(far, next)), start);
      return { since: { t, i }, isBehindBarrier: barrier !== undefined && sameTime(barrier, { t, i }), cuts };
    },
    barrier(at) {
      barrier = at;
    },
    look,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
