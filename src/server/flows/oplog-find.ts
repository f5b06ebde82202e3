import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = taskKinds['oplog-find'].input.omit({ archive: true }).extend({ setId: z.string() });
export type OplogFindWish = z.infer<typeof wish>;

export function oplogFindFlow({ sets, archives }: { sets: ProtectedSets; archives: Archives }): Flow<OplogFindWish> {
  return {
    wish,
    async run({ setId, ...asked }, context) {
      const set = await sets.find(setId);
      await context.step('search the archived oplog');
      const { host } = await archives.find(set.repository);
      const output = await context.task('find', 'oplog-find', { host, repository: set.repository, setId, right: 'read' }, async () => Promise.resolve(asked));
      return { state: 'success', result: { kind: 'oplog-find', ...output } };
    },
  };
}
