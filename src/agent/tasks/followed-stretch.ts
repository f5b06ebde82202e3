/**
 * From where on a point leads to the newest entry of the chain that is followed: the chain's start, the last barrier, the last cut
 * in it, or what is missing in it. The server reckons by it what would be lost (domain/archived-stretches.ts). Retention cuts while a follower runs, so cuts
 * are looked for again; so is what is missing, less often, because that takes a list of all slices.
 */
import { compareTimes, latest, sameTime, showTime, timeOf, type ClusterTime } from '../../base/cluster-time.ts';
import { describe } from '../../base/failure.ts';
import { holesOf, type Hole, type OplogArchive } from '../../repository/archive.ts';
import { mostBarriersTold } from '../../domain/archived-stretches.ts';
import type { TaskContext } from '../task-context.ts';

type Cut = { readonly after: ClusterTime; readonly through: ClusterTime };
/** `cuts`: the newest ones, oldest first, with what is missing; `barriers`: the newest ones. */
export type ToldStretch = { readonly since: ClusterTime; readonly isBehindBarrier: boolean; readonly cuts: readonly Cut[]; readonly barriers: readonly ClusterTime[] };
export type FollowedStretch = Disposable & { told(): ToldStretch; barrier(at: ClusterTime): void; look(): Promise<void> };

/** As many as the server keeps stretches. */
const mostCuts = 16;
const lookEveryMs = 60_000;
const looksToHoles = 10;
/** What was written so lately may be missing in a list only. */
export const listsLagSeconds = 300;

export async function followStretch(oplog: Pick<OplogArchive, 'chains' | 'barriers' | 'cuts' | 'runs'>, chain: string, writer: { readonly through: ClusterTime }, context: Pick<TaskContext, 'log' | 'say' | 'status'>): Promise<FollowedStretch> {
  const [{ chains }, { barriers }] = [await oplog.chains(), await oplog.barriers(chain)];
  const start: ClusterTime = chains.find(({ id }) => id === chain)?.start.after ?? { t: 0, i: 0 };
  const passed = barriers.map(({ at }) => timeOf(at));
  let cuts: Cut[] = [];
  let holes: Hole[] = [];
  let looks = 0;
  const lookForHoles = async (): Promise<void> => {
    const before = new Set(holes.map(({ after }) => showTime(after)));
    // Behind a hole that was there when the writer began it archives anew what the members still have, and a break is told where they have not.
    const { through: written } = writer;
    const runs = await oplog.runs(chain);
    const end = runs.at(-1)?.at(-1)?.through ?? start;
    holes = holesOf(runs, start).filter(({ after, through }) => compareTimes(after, written) < 0 && through.t <= end.t - listsLagSeconds);
    for (const { after, through } of holes) {
      if (before.has(showTime(after))) continue;
      context.say(`entries from ${showTime(after)} to ${showTime(through)} of oplog chain ${chain} are missing in the repository; moments behind them need a base that was made since`, 'error');
      context.status('hole', { chain, after, through });
    }
  };
  const look = async (): Promise<void> => {
    if (looks++ % looksToHoles === 0) await lookForHoles();
    cuts = [...(await oplog.cuts(chain)), ...holes].sort((a, b) => compareTimes(a.through, b.through)).slice(-mostCuts);
  };
  await look();
  const timer = setInterval(() => {
    look().catch((error: unknown) => context.log.warn('it was not seen what retention has cut; it is looked for again', { why: describe(error) }));
  }, lookEveryMs);
  return {
    told() {
      const barrier = passed.at(-1);
      const { t, i } = [barrier, cuts.at(-1)?.through].reduce<ClusterTime>((far, next) => (next === undefined ? far : latest(far, next)), start);
      return { since: { t, i }, isBehindBarrier: barrier !== undefined && sameTime(barrier, { t, i }), cuts, barriers: passed.slice(-mostBarriersTold) };
    },
    barrier(at) {
      passed.push(timeOf(at));
    },
    look,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
