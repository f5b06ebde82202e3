/**
 * Starts the full verifications that are due: each set of an enabled policy by itself, the longest due first, a few at a time.
 *
 *   (policy, set) ──first seen, or its schedule is another──▶ counts from now ──due──▶ session, under a claim ──▶ counts from now
 *
 * The session is opened before the set counts on: killed in between, the next round meets the claim (docs/design/verification.md).
 */
import type { Catalog } from '../catalog/catalog.ts';
import { alreadyBegun, laneTaken } from '../catalog/failures.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { SetRow } from '../catalog/sets.ts';
import { describe, isFailure } from '../base/failure.ts';
import { nextRun } from '../domain/schedule.ts';
import { documentOf, policyObjects, protectedAmong } from './policy-objects.ts';
import { keepRounds, type Rounds, type RoundsOptions } from './rounds.ts';
import { lanePrefix, type Verifications } from './verifications.ts';

type Options = RoundsOptions & { catalog: Catalog; verifications: Verifications };
type Due = { readonly policy: PolicyRow; readonly set: SetRow; readonly schedule: string; readonly dueMs: number };

const mostAtOnce = 4;
/** When a set is due next: a schedule says the same of the same moment, and ten thousand are asked each minute. */
type Reckoned = { readonly schedule: string; readonly fromMs: number; readonly dueMs: number | null };

/** That of a policy which is disabled: whatever it is when it is enabled again, it counts from then. */
const none = '';

export function keepSetsVerified(options: Options): Rounds {
  return keepRounds('the verifications', openVerificationRound(options), options);
}

/** One look at all of them: begins what is due and may begin, and answers in how many milliseconds the next is. */
export function openVerificationRound(options: Pick<Options, 'catalog' | 'verifications' | 'clock' | 'log' | 'signal'>): () => Promise<number> {
  const { catalog, verifications, clock, log, signal } = options;

  async function begin({ policy, set, schedule, dueMs }: Due): Promise<'begun' | 'busy'> {
    try {
      await verifications.start(policy, set, { reason: `policy ${policy.name}: its verification is due`, claim: `verify/${policy.id}/${set.id}/${dueMs}` });
    } catch (error) {
      // A server that ends leaves it to the next one.
      signal.throwIfAborted();
      if (isFailure(error, laneTaken)) return 'busy';
      if (!isFailure(error, alreadyBegun)) log.warn('a scheduled verification was not started', { set: set.name, why: describe(error) });
    }
    await catalog.verifications.count({ policy: policy.id, set_id: set.id, schedule, counts_from_ms: clock.now() });
    return 'begun';
  }

  const reckoned = new Map<string, Reckoned>();
  return async () => {
    const { due, waitMs } = await lookAtSchedules(options, reckoned);
    const open = (await catalog.sessions.unfinishedOf('verify')).filter(({ lane }) => lane?.startsWith(lanePrefix) === true).length;
    let free = mostAtOnce - open;
    for (const one of due.sort((a, b) => a.dueMs - b.dueMs)) if (free > 0 && (await begin(one)) === 'begun') free--;
    return waitMs;
  };
}

async function lookAtSchedules({ catalog, clock }: Pick<Options, 'catalog' | 'clock'>, reckoned: Map<string, Reckoned>): Promise<{ due: Due[]; waitMs: number }> {
  const nowMs = clock.now();
  const keyOf = (policy: string, set: string): string => `${policy} ${set}`;
  const known = new Map((await catalog.verifications.list()).map((row) => [keyOf(row.policy, row.set_id), row]));
  const due: Due[] = [];
  let waitMs = Infinity;
  const objects = await policyObjects(catalog);
  for (const policy of await catalog.policies.list()) {
    const { verification, timeZone, ...document } = documentOf(policy);
    const schedule = policy.is_enabled === 1 ? JSON.stringify([verification.schedule, timeZone]) : none;
    for (const set of protectedAmong(document, objects)) {
      const row = known.get(keyOf(policy.id, set.id));
      known.delete(keyOf(policy.id, set.id));
      // A clock that was set back must not put it to sleep until it has caught up.
      const isFresh = row?.schedule !== schedule || row.counts_from_ms > nowMs;
      if (isFresh) await catalog.verifications.count({ policy: policy.id, set_id: set.id, schedule, counts_from_ms: nowMs });
      const dueMs = schedule === none ? null : nextAfter(isFresh ? nowMs : row.counts_from_ms, keyOf(policy.id, set.id), schedule, (fromMs) => nextRun(verification.schedule, timeZone, fromMs), reckoned);
      if (dueMs === null) continue;
      if (dueMs <= nowMs) due.push({ policy, set, schedule, dueMs });
      else waitMs = Math.min(waitMs, dueMs - nowMs);
    }
  }
  for (const { policy, set_id } of known.values()) {
    await catalog.verifications.forget(policy, set_id);
    reckoned.delete(keyOf(policy, set_id));
  }
  return { due, waitMs };
}

function nextAfter(fromMs: number, key: string, schedule: string, reckon: (fromMs: number) => number | null, reckoned: Map<string, Reckoned>): number | null {
  const before = reckoned.get(key);
  if (before?.schedule === schedule && before.fromMs === fromMs) return before.dueMs;
  const dueMs = reckon(fromMs);
  reckoned.set(key, { schedule, fromMs, dueMs });
  return dueMs;
}
