/**
 * Proves a point again, or a moment of a set that is chosen by chance.
 *
 *   prove ──holds──▶ success
 *     └ found bad ──at another moment than the point's own, by chance──▶ prove the point at its own ──▶ alarm ──▶ failed
 *
 * The second look says whose fault it is: the point's, which is marked then, or that of the oplog behind it.
 */
import * as z from 'zod';
import { sayTime } from '../../base/cluster-time.ts';
import { describe, isFailure, type Failure } from '../../base/failure.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { ownCheck, type CheckOutcome, type VerificationOutcome } from '../../contract/checks.ts';
import { clusterTime } from '../../contract/values.ts';
import type { Alarms } from '../alarms.ts';
import type { Archives } from '../archives.ts';
import { chosenMoment, type Flow, type FlowContext } from '../flow.ts';
import type { Placement } from '../placement.ts';
import type { Points } from '../points.ts';
import { condemnsMoment, isElsewhere, provePoint, type Proving } from '../proving.ts';
import { verificationFailed } from '../verification-failures.ts';
import { lanePrefix, type Verifications } from '../verifications.ts';

const wish = z.object({
  repository: z.string(),
  setId: z.string(),
  /** Null: a moment by chance, and the point that leads there. */
  point: z.string().nullable(),
  level: z.enum(['open', 'full']),
  at: clusterTime.nullable(),
  checks: z.array(ownCheck).default([]),
  /** That asked for it. */
  policy: z.string().nullable().default(null),
});
export type VerifyWish = z.infer<typeof wish>;

export type VerifyServices = { archives: Archives; placement: Placement; points: Points; verifications: Verifications; alarms: Alarms; catalog: Catalog };

export function verifyFlow(services: VerifyServices): Flow<VerifyWish> {
  const { archives, placement, points } = services;
  return {
    wish,
    laneOf: ({ policy, setId }) => (policy === null ? null : `${lanePrefix}${setId}`),
    async run(asked, context) {
      const { repository, setId, level, checks } = asked;
      const isByChance = asked.point === null;
      if (isByChance) await context.step('choose a moment by chance');
      const { point, at } = asked.point !== null ? { point: asked.point, at: asked.at } : await context.note(chosenMoment, async () => await services.verifications.choose({ id: setId, repository }));
      if (isByChance) await context.say(`${at === null ? 'its own moment' : sayTime(at)}, from restore point ${point}`);
      await context.step(level === 'full' ? 'prove the restore point in full' : 'prove the restore point');
      const host = await context.note('host', async () => await placement.forMoments(repository, setId));
      const proving: Proving = { at: { host, repository, setId, right: 'read' }, point, level, moment: at, checks };
      try {
        const output = await provePoint(proving, archives, points, context);
        const held = output.checks ?? [];
        await keepOutcome(asked, { ok: true, point, moment: output.at, says: `${output.collections.length} collections validated, ${held.length} own checks hold`, checks: held }, context, services);
        return { state: 'success', result: { kind: 'verify', point, ...output } };
      } catch (error) {
        if (!context.signal.aborted && condemnsMoment(error)) await answerFinding(error, proving, asked, context, services);
        throw error;
      }
    },
  };
}

/** What was found is told, and looked into, before the session ends. */
async function answerFinding(found: Failure, proving: Proving, asked: VerifyWish, context: FlowContext, services: VerifyServices): Promise<void> {
  const { catalog, alarms, points } = services;
  const isBehind = await isElsewhere(proving, points);
  // Somebody who asks for a moment by hand has the answer before him.
  if (isBehind && asked.point !== null) return;
  const says = isBehind ? `${found.message}; ${await lookAtItsOwn(proving, context, services)}` : found.message;
  await keepOutcome(asked, { ok: false, point: proving.point, moment: proving.moment, says, checks: isFailure(found, verificationFailed) ? (found.details['checks'] as CheckOutcome[]) : [] }, context, services);
  // Of a set that is not protected any more no new point can be made.
  if ((await catalog.sets.find(asked.setId)) === undefined) return;
  await alarms.raise({ setId: asked.setId, key: `verify ${context.session}`, atMs: context.clock.now(), what: 'a verification failed', says });
}

async function lookAtItsOwn(proving: Proving, context: FlowContext, { archives, points }: VerifyServices): Promise<string> {
  await context.step('prove the restore point at its own moment');
  try {
    await provePoint({ ...proving, moment: null, name: 'prove at its own moment' }, archives, points, context);
    return `restore point ${proving.point} itself is sound, the moments behind it are not`;
  } catch (error) {
    context.signal.throwIfAborted();
    await context.say(describe(error), 'error');
    return condemnsMoment(error) ? `restore point ${proving.point} itself is bad, too` : `restore point ${proving.point} itself could not be looked at`;
  }
}

/** With the policy that asked, for lists, reports and metrics. */
async function keepOutcome({ policy, setId }: VerifyWish, outcome: Omit<VerificationOutcome, 'atMs' | 'session'>, context: FlowContext, { verifications }: VerifyServices): Promise<void> {
  if (policy === null) return;
  await context.note('outcome', async () => {
    await verifications.found(policy, setId, { atMs: context.clock.now(), session: context.session, ...outcome });
    return true;
  });
}
