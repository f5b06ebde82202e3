import * as z from 'zod';
import { describe } from '../../base/failure.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { TaskOutput } from '../../contract/tasks.ts';
import { checkSlice } from '../../contract/values.ts';
import type { Alarms } from '../alarms.ts';
import type { Archives } from '../archives.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { Points } from '../points.ts';
import { recordProof } from '../proving.ts';
import { rereadLane, type Rereads } from '../rereads.ts';

const wish = z.object({
  repository: z.string(),
  readDataPercent: z.number(),
  /** Of a re-read, and the night that it is for. */
  slice: checkSlice.nullable().default(null),
  nightMs: z.number().nullable().default(null),
  /** The archives of these sets alone: those that were damaged before. */
  only: z.array(z.string()).nullable().default(null),
});
export type CheckWish = z.infer<typeof wish>;

export type CheckServices = { archives: Archives; points: Points; alarms: Alarms; catalog: Catalog; rereads: Rereads };

/**
 * Every archive of a repository, one after the other. Damage is an answer of the check and a warning of the session. Of a re-read, which nobody
 * watches, it marks the points that it hurts and is an alarm.
 */
export function checkFlow(services: CheckServices): Flow<CheckWish> {
  const { archives, rereads } = services;
  return {
    wish,
    async run({ repository, readDataPercent, slice, nightMs, only }, context) {
      const found = [];
      const { host } = await archives.find(repository);
      for (const { setId, setName } of await context.note('archives', async () => (await archives.list(repository)).filter(({ setName }) => only?.includes(setName) ?? true))) {
        await context.step(`check the archive of ${setName}`);
        const output = await context.task(`check ${setId}`, 'check', { host, repository, setId, right: 'append' }, async () => Promise.resolve({ readDataPercent, slice }));
        if (!output.ok) await context.say(`the archive of ${setName} is damaged: ${output.damage.length} objects, ${output.hurtPoints.length} restore points hurt`, 'warning');
        if (slice !== null && !output.ok) await answerDamage({ repository, setId, output }, context, services);
        found.push({ set: setName, ...output });
      }
      if (slice !== null && nightMs !== null) await context.note('slice read', async () => {
        await rereads.wasRead(repository, slice, nightMs);
        return true;
      });
      const ok = found.every((archive) => archive.ok);
      return { state: ok ? 'success' : 'warning', result: { kind: 'check', ok, archives: found } };
    },
    failedOnly(asked, result): CheckWish | null {
      const damaged = result.kind === 'check' ? result.archives.filter(({ ok }) => !ok).map(({ set }) => set) : [];
      // The night was counted as read.
      return damaged.length === 0 ? null : { ...asked, nightMs: null, only: damaged };
    },
    laneOf: ({ repository, slice }) => (slice === null ? null : rereadLane(repository)),
  };
}

type Damaged = { readonly repository: string; readonly setId: string; readonly output: TaskOutput<'check'> };

/** One alarm for each damaged object, or for what is missing in a folder, however often it is found; a flood of them is one alarm for those beyond. */
const mostAlarms = 5;

async function answerDamage({ repository, setId, output }: Damaged, context: FlowContext, services: CheckServices): Promise<void> {
  const { catalog, alarms } = services;
  for (const point of output.hurtPoints) await markHurt({ repository, setId, output }, point, context, services);
  // What is damaged in one place and whole in another hurts nobody.
  if (output.hurtPoints.length === 0 && output.hurtOplog.length === 0) return;
  if ((await catalog.sets.find(setId)) === undefined) return;
  const found = objectsOf(output.damage);
  const raise = async (key: string, says: string): Promise<void> => await alarms.raise({ setId, key: `damage ${repository} ${key}`, atMs: context.clock.now(), what: 'stored bytes are damaged', says });
  const hurt = `${output.hurtPoints.length} restore points and ${output.hurtOplog.length} stretches of oplog are hurt`;
  for (const { key, says } of found.slice(0, mostAlarms)) await raise(key, `${says}; ${hurt}`);
  if (found.length > mostAlarms) await raise(found.slice(mostAlarms).map(({ key }) => key).join(), `${found.length - mostAlarms} more objects; ${hurt}`);
}

/** A folder stands for what is missing in it, which is another thing each time: a chunk, entries of the oplog. */
function objectsOf(damage: Damaged['output']['damage']): { key: string; says: string }[] {
  const whats = new Map<string, Set<string>>();
  for (const { object, what } of damage) whats.set(object, (whats.get(object) ?? new Set()).add(what));
  return [...whats]
    .map(([object, all]) => {
      const [first, ...more] = [...all].sort();
      return { key: object.endsWith('/') ? `${object} ${[...all].sort().join()}` : object, says: `${object}: ${first}${more.length === 0 ? '' : ` (and ${more.length} more)`}` };
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Marked as bad until a full proof finds nothing: no shorter look reads all of its bytes. */
async function markHurt({ repository, setId, output }: Damaged, point: string, context: FlowContext, { archives, points }: CheckServices): Promise<void> {
  const row = (await points.list(setId)).find(({ id, lost }) => id === point && lost === 0);
  if (row === undefined || points.summary(row).proof?.ok === false) return;
  const says = `a re-read found damage in its bytes: ${output.damage.slice(0, 3).map(({ object, what }) => `${object}: ${what}`).join('; ')}`;
  await context.note(`marked ${point}`, async () => {
    try {
      await recordProof({ repository, setId }, point, { level: 'full', atMs: context.clock.now(), ok: false, says }, archives, points, context);
    } catch (error) {
      context.signal.throwIfAborted();
      await context.tell(`restore point ${point} could not be marked: ${describe(error)}`, 'warning');
    }
    return true;
  });
}
