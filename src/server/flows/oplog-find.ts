/**
 * A search of the archived oplog, and what it could not see.
 *
 * The archive is seconds behind the set, and a search comes right after an accident: so one that reaches into the present
 * waits for the archive to hold what had happened when it was asked, and says what is missing when that takes too long.
 */
import * as z from 'zod';
import { compareTimes, type ClusterTime } from '../../base/cluster-time.ts';
import { until } from '../../base/deadline.ts';
import { isFailure } from '../../base/failure.ts';
import { taskKinds } from '../../contract/tasks.ts';
import { justBefore } from '../../domain/oplog-chain.ts';
import { reachableMoments } from '../../domain/restore-choice.ts';
import type { Archives } from '../archives.ts';
import type { Flow, FlowContext } from '../flow.ts';
import { factsOf } from '../moments.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = taskKinds['oplog-find'].input.omit({ archive: true }).extend({ setId: z.string() });
export type OplogFindWish = z.infer<typeof wish>;

type Services = { sets: ProtectedSets; archives: Archives; standings: OplogStandings; findWaitMs?: number };
type NotArchived = { retryAfterSeconds: number; why: string } | null;

/** What was written just before the question is majority-committed, and told, by then. */
const settledMs = 1_000;
const retryAfterSeconds = 10;

export function oplogFindFlow(services: Services): Flow<OplogFindWish> {
  const { sets, archives } = services;
  return {
    wish,
    async run({ setId, ...asked }, context) {
      const set = await sets.find(setId);
      await context.step('see that the archive has what happened so far');
      const notArchivedYet = await context.note('not archived yet', async () => await archiveReaches(setId, asked.until, services, context));
      const { host } = await archives.find(set.repository);
      const output = await context.task('find', 'oplog-find', { host, repository: set.repository, setId, right: 'read' }, async () => await Promise.resolve(asked));
      const isReachable = output.matches.length === 0 ? () => false : reachableMoments(factsOf(await context.order(host, 'archive.window', { archive: await sets.archive(set) })));
      const matches = output.matches.map((match) => ({ ...match, reachable: isReachable(justBefore(match.at)) }));
      return { state: 'success', result: { kind: 'oplog-find', ...output, matches, notArchivedYet } };
    },
  };
}

async function archiveReaches(setId: string, border: ClusterTime | null, { standings, findWaitMs = 15_000 }: Services, context: FlowContext): Promise<NotArchived> {
  const { clock } = context;
  const { state, through, says } = await standings.now(setId);
  if (border !== null && through !== null && compareTimes(through, border) >= 0) return null;
  if (state !== 'following') return { retryAfterSeconds: 60, why: `the oplog is not followed${says === null ? '' : `: ${says}`}` };
  const askedMs = clock.monotonicMs();
  let present: ClusterTime | undefined;
  try {
    return await until('the archive', findWaitMs, async () => {
      const now = await standings.now(setId);
      if (present === undefined && now.committed !== null && (standings.heardMs(setId) ?? 0) >= askedMs + settledMs) present = now.committed;
      const need = border !== null && present !== undefined && compareTimes(border, present) < 0 ? border : present;
      return need !== undefined && now.through !== null && compareTimes(now.through, need) >= 0 ? { done: null } : undefined;
    }, { everyMs: 100, signal: context.signal, clock }).then(({ done }) => done);
  } catch (error) {
    if (context.signal.aborted || !isFailure(error, { code: 'base.deadline-passed' })) throw error;
    return { retryAfterSeconds, why: 'the newest operations are not archived yet' };
  }
}
