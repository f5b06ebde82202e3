/**
 * Tasks that no open session claims are stopped and forgotten: those of a session that was given up while its host was
 * away, and those whose result was taken without the host hearing of it.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { Links } from './links.ts';

const everyMs = 60_000;

export function keepTasksTidy(options: { links: Links; catalog: Catalog; clock: Clock; log: Log; signal: AbortSignal }): void {
  const { links, clock, log, signal } = options;
  const look = (caller: Caller): void => {
    tidy(caller, options.catalog, log).catch((error: unknown) => log.info('tasks could not be looked through', { why: describe(error) }));
  };
  links.onConnect(look);
  const goRound = async (): Promise<void> => {
    for (;;) {
      await clock.wait(everyMs, signal);
      for (const link of links.all()) {
        // Lost in this instant: it is looked through when it is there again.
        const caller = await link.connected(1, signal).catch(() => undefined);
        if (caller !== undefined) look(caller);
      }
    }
  };
  goRound().catch(() => {});
}

async function tidy(caller: Caller, catalog: Catalog, log: Log): Promise<void> {
  const { tasks } = await caller.call('task.list', {});
  // Asked after the list: a task that was noted and started in between is claimed by then.
  const claimed = new Set((await catalog.sessions.openTasks()).map(({ task_id }) => task_id));
  for (const { taskId, kind, state } of tasks) {
    if (claimed.has(taskId)) continue;
    log.info('a task that no session claims is ended', { taskId, kind, state: state.state });
    await caller.call(state.state === 'running' ? 'task.stop' : 'task.forget', { taskId });
  }
}
