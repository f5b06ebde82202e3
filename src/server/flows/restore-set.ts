import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import { uriOfSet } from '../../contract/mongo-uri.ts';
import { clusterTime } from '../../contract/values.ts';
import { fastCounts, type Flow } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import { unprovedWarning, type Points } from '../points.ts';
import { restoreOverHosts } from './restore-over-hosts.ts';

const member = taskKinds['restore-set'].input.shape.members.element;

const wish = z.object({
  repository: z.string(),
  /** Where members are laid down that name no host of their own. */
  host: z.string().default('local'),
  setId: z.string(),
  point: z.string(),
  at: clusterTime,
  setName: z.string(),
  members: z.array(member.extend({ node: z.string().optional() })).min(1),
  start: z.boolean(),
  apply: z.boolean(),
});
export type RestoreSetWish = z.input<typeof wish>;

export function restoreSetFlow({ points, hosts }: { points: Points; hosts: Hosts }): Flow<z.infer<typeof wish>> {
  return {
    wish,
    isPlan: ({ apply }) => !apply,
    async run({ host, ...asked }, context) {
      const { repository, setId, ...input } = asked;
      const members = asked.members.map((one) => ({ ...one, node: one.node ?? host }));
      const nodes = [...new Set(members.map(({ node }) => node))];
      const warnings = unprovedWarning(await points.find(asked.point), points);
      if (asked.apply) await context.say(fastCounts);
      if (nodes.length > 1) {
        const parts = await Promise.all(nodes.map(async (id) => ({ id, name: (await hosts.find(id)).name })));
        const { state, result } = await restoreOverHosts({ ...asked, members }, parts, context);
        return { state, result: result.kind === 'restore-set' ? { ...result, plan: [...warnings, ...result.plan] } : result };
      }
      await context.step(asked.apply ? 'restore the set' : 'plan the restore');
      const output = await context.task('restore', 'restore-set', { host: nodes[0]!, repository, setId, right: 'read' }, async () => await Promise.resolve(input));
      const uri = output.applied && asked.start ? uriOfSet(asked.setName, members) : null;
      return { state: 'success', result: { kind: 'restore-set', point: asked.point, ...output, plan: [...warnings, ...output.plan], startOn: [], uri } };
    },
  };
}
