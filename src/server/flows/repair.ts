import * as z from 'zod';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';

const wish = z.object({ repository: z.string(), from: z.string().nullable() });
export type RepairWish = z.infer<typeof wish>;

/** Every archive of a repository, one after the other, each from the archive of its set in the other repository where that has one. */
export function repairFlow({ archives }: { archives: Archives }): Flow<RepairWish> {
  return {
    wish,
    async run({ repository, from }, context) {
      const repaired = [];
      const { host } = await archives.writable(repository);
      const other = from === null ? null : await archives.find(from);
      const there = await context.note('other archives', async () => (other === null ? [] : (await archives.list(other.id)).map(({ setId }) => setId)));
      for (const { setId, setName } of await context.note('archives', async () => await archives.list(repository))) {
        await context.step(`repair the archive of ${setName}`);
        const at = { host, repository, setId, right: 'append', ...(other !== null && there.includes(setId) && { from: other.id }) } as const;
        const output = await context.task(`repair ${setId}`, 'repair', at, async () => await Promise.resolve({ source: other === null ? null : { id: other.id, name: other.name } }));
        if (!output.ok) await context.say(`the archive of ${setName} is not whole: ${output.stillHurt.length} restore points hurt`, 'warning');
        repaired.push({ set: setName, ...output });
      }
      const ok = repaired.every((archive) => archive.ok);
      return { state: ok ? 'success' : 'warning', result: { kind: 'repair', ok, from: other?.name ?? null, archives: repaired } };
    },
  };
}
