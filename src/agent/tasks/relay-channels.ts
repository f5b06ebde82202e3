/** This host as the gateway of a data session between two others (docs/design/data-channel.md, "Gateways"). */
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { relayChannels as relay } from '../../mover/relay.ts';
import type { TaskContext } from '../task-context.ts';

export async function relayChannels(input: TaskInput<'relay-channels'>, context: TaskContext): Promise<TaskOutput<'relay-channels'>> {
  const { log, clock, signal } = context;
  const relayed = await relay({
    ...input,
    host: input.listen,
    portWaitMs: input.portWaitSeconds * 1000,
    log,
    clock,
    signal,
    onWaitForPorts: () => context.step(`wait for ports of ${input.range.from}–${input.range.to}`),
  });
  context.onConnection((socket, first) => relayed.adopt(socket, first));
  context.step(`pass on to ${input.to.host}`);
  context.status('ready', { ports: relayed.ports });
  signal.addEventListener('abort', () => void relayed.close(), { once: true });
  if (signal.aborted) await relayed.close();
  const why = await relayed.ended;
  return { why, relayedBytes: relayed.relayedBytes };
}
