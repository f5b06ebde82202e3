import * as z from 'zod';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';

const wish = z.object({ repository: z.string(), readDataPercent: z.number() });
export type CheckWish = z.infer<typeof wish>;

/** Every archive of a repository, one after the other. Damage is an answer of the check and a warning of the session. */
export function checkFlow({ archives }: { archives: Archives }): Flow<CheckWish> {
  return {
    wish,
    async run({ repository, readDataPercent }, context) {
      const found = [];
      const { host } = await archives.find(repository);
      for (const { setId, setName } of await context.note('archives', async () => await archives.list(repository))) {
        await context.step(`check the archive of ${setName}`);
        const output = await context.task(`check ${setId}`, 'check', { host, repository, setId, right: 'append' }, async () => Promise.resolve({ readDataPercent }));
        if (!output.ok) await context.say(`the archive of ${setName} is damaged: ${output.damage.length} objects, ${output.hurtPoints.length} restore points hurt`, 'warning');
        found.push({ set: setName, ...output });
      }
      const ok = found.every((archive) => archive.ok);
      return { state: ok ? 'success' : 'warning', result: { kind: 'check', ok, archives: found } };
    },
  };
}
