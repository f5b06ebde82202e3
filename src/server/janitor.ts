/**
 * Tasks that no open session claims are stopped and forgotten: those of a session that was given up while its host was
 * away, and those whose result was taken without the host hearing of it.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { Links } from './links.ts';

export function keepTasksTidy({ links, catalog, log, signal }: { links: Links; catalog: Catalog; log: Log; signal: AbortSignal }): void {
  links.goRound(async (caller) => {
    await tidy(caller, catalog, log).catch((error: unknown) => log.info('tasks could not be looked through', { why: describe(error) }));
  }, signal);
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
