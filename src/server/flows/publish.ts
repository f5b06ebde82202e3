import * as z from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { clusterTime } from '../../contract/values.ts';
import { taskLost } from '../failures.ts';
import { fastCounts, type Flow } from '../flow.ts';
import type { Placement } from '../placement.ts';

const wish = z.object({
  publication: z.string(),
  repository: z.string(),
  setId: z.string(),
  point: z.string(),
  at: clusterTime,
  port: z.int().nullable(),
  expiresAtMs: z.number(),
  withUsers: z.boolean(),
});
export type PublishWish = z.infer<typeof wish>;

const ready = z.object({ uri: z.string() });

const restarted = 'ended because the transport service was restarted; start it again';

/** A published moment: the session works for as long as it is up, and its end is the publication's. */
export function publishFlow({ placement, catalog }: { placement: Placement; catalog: Catalog }): Flow<PublishWish> {
  return {
    wish,
    async run(asked, context) {
      const { publication, point, at, port, withUsers } = asked;
      await catalog.publications.update(publication, { session: context.session });
      await context.step('publish the moment');
      await context.say(fastCounts);
      const onStatus = async (key: string, value: unknown): Promise<void> => {
        if (key === 'ready') await catalog.publications.update(publication, { state: 'ready', uri: ready.parse(value).uri });
      };
      try {
        const host = await context.note('host', async () => await placement.forMoments(asked.repository, asked.setId));
        const reach = { host, repository: asked.repository, setId: asked.setId, right: 'read' } as const;
        const { why } = await context.task('publish', 'publish', reach, async () => Promise.resolve({
          point,
          at,
          port,
          withUsers,
          expiresMs: Math.max(1, asked.expiresAtMs - context.clock.now()),
        }), onStatus);
        await catalog.publications.update(publication, { state: 'ended', uri: null, says: why === 'stopped' && !context.signal.aborted ? restarted : why });
        return { state: 'success', result: { kind: 'publish', point, at, why } };
      } catch (error) {
        const isLeftRunning = context.signal.aborted && context.isClosing();
        if (!isLeftRunning) await catalog.publications.update(publication, { state: 'ended', uri: null, says: isFailure(error, taskLost) ? restarted : describe(error) });
        throw error;
      }
    },
  };
}
