import * as z from 'zod';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';

const wish = z.object({ repository: z.string() });
export type SweepWish = z.infer<typeof wish>;

/** Every archive of a repository, one after the other. */
export function sweepFlow({ archives }: { archives: Archives }): Flow<SweepWish> {
  return {
    wish,
    async run({ repository }, context) {
      const swept = [];
      const { host } = await archives.find(repository);
      for (const { setId, setName } of await context.note('archives', async () => await archives.list(repository))) {
        await context.step(`sweep the archive of ${setName}`);
        const output = await context.task(`sweep ${setId}`, 'sweep', { host, repository, setId, right: 'append' }, async () => Promise.resolve({}));
        swept.push({ set: setName, ...output });
      }
      return { state: 'success', result: { kind: 'sweep', freedBytes: swept.reduce((sum, { freedBytes }) => sum + freedBytes, 0), archives: swept } };
    },
  };
}
