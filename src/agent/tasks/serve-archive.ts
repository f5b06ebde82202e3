/** One archive of a repository on this host, served to one other host over data channels (docs/design/data-channel.md). */
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { readIdentity, watchIdentity } from '../../contract/link/identity-file.ts';
import { identityMissing } from '../../mover/failures.ts';
import { serveArchive as serve } from '../../mover/serve-archive.ts';
import { openStorage } from '../../repository/storage/open-storage.ts';
import type { TaskContext } from '../task-context.ts';

export async function serveArchive(input: TaskInput<'serve-archive'>, context: TaskContext): Promise<TaskOutput<'serve-archive'>> {
  const { log, clock, signal, identityFile, pace } = context;
  const identity = identityFile === undefined ? undefined : await readIdentity(identityFile);
  if (identityFile === undefined || identity === undefined) throw identityMissing({ path: identityFile ?? 'none was given' });
  context.step('open the repository');
  const storage = await openStorage(input, { isReadOnly: input.isReadOnly, connections: input.connections });
  const waits = `wait for ports of ${input.range.from}–${input.range.to}`;
  const served = await serve({
    ...input,
    storage,
    identity,
    host: input.listen,
    portWaitMs: input.portWaitSeconds * 1000,
    log,
    clock,
    signal,
    pace,
    onWaitForPorts: () => context.step(waits),
  });
  context.onConnection((socket, first) => served.adopt(socket, first));
  watchIdentity(identityFile, (renewed) => served.renew(renewed), signal);
  context.step(`serve to ${input.peer}`);
  context.status('ready', { ports: served.ports });
  signal.addEventListener('abort', () => void served.close(), { once: true });
  if (signal.aborted) await served.close();
  const why = await served.ended;
  return { why, ...served.counts };
}
