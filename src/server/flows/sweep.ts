import * as z from 'zod';
import { describe, isFailure } from '../../base/failure.ts';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';
import type { Sweeps } from '../sweeps.ts';
import { sweepRunning } from '../tended-archive.ts';

const wish = z.object({ repository: z.string(), /** Of a night: what is left is for the next one, and nobody has to hear of it. */ isByItself: z.boolean().default(false) });
export type SweepWish = z.infer<typeof wish>;

/** Every archive of a repository, one after the other. One that something else sweeps or tends is left to the next night, and holds up no other. */
export function sweepFlow({ archives, sweeps }: { archives: Archives; sweeps: Pick<Sweeps, 'want'> }): Flow<SweepWish> {
  return {
    wish,
    async run({ repository, isByItself }, context) {
      const swept = [];
      const left: { set: string; why: string }[] = [];
      const { host } = await archives.find(repository);
      for (const { setId, setName } of await context.note('archives', async () => await archives.list(repository))) {
        await context.step(`sweep the archive of ${setName}`);
        try {
          const output = await context.task(`sweep ${setId}`, 'sweep', { host, repository, setId, right: 'append' }, async () => Promise.resolve({}));
          swept.push({ set: setName, ...output });
        } catch (error) {
          if (!isFailure(error, sweepRunning)) throw error;
          left.push({ set: setName, why: describe(error) });
          await sweeps.want(repository);
          await context.tell(`the archive of ${setName} is left to the next sweep: ${describe(error)}`, isByItself ? 'info' : 'warning');
        }
      }
      const result = { kind: 'sweep' as const, freedBytes: swept.reduce((sum, { freedBytes }) => sum + freedBytes, 0), archives: swept, left };
      return { state: left.length === 0 || isByItself ? 'success' : 'warning', result };
    },
  };
}
