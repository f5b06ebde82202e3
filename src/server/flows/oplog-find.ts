import * as z from 'zod';
import { taskKinds } from '../../contract/tasks.ts';
import type { Flow } from '../flow.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = taskKinds['oplog-find'].input.omit({ archive: true }).extend({ setId: z.string() });
export type OplogFindWish = z.infer<typeof wish>;

export function oplogFindFlow({ sets }: { sets: ProtectedSets }): Flow<OplogFindWish> {
  return {
    wish,
    async run({ setId, ...asked }, context) {
      const set = await sets.find(setId);
      await context.step('search the archived oplog');
      const output = await context.task('find', 'oplog-find', async () => ({ archive: await sets.archive(set), ...asked }));
      return { state: 'success', result: { kind: 'oplog-find', ...output } };
    },
  };
}
