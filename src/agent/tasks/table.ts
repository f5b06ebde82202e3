import type { TaskInput, TaskKind, TaskOutput } from '../../contract/tasks.ts';
import type { TaskContext } from '../task-context.ts';

type TaskFunctions = { [K in TaskKind]: () => Promise<(input: TaskInput<K>, context: TaskContext) => Promise<TaskOutput<K>>> };

/** Each kind's module is loaded only by the mover that runs it. */
const functions: TaskFunctions = {
  oplog: async () => (await import('./oplog.ts')).followSetOplog,
  backup: async () => (await import('./backup.ts')).backUp,
  prove: async () => (await import('./prove.ts')).prove,
  publish: async () => (await import('./publish.ts')).publish,
  'restore-set': async () => (await import('./restore-set.ts')).restoreSet,
  'lay-members': async () => (await import('./lay-members.ts')).layMembers,
  'run-hook': async () => (await import('./run-hook.ts')).runHook,
  'place-members': async () => (await import('./place-members.ts')).placeMembers,
  'start-members': async () => (await import('./start-members.ts')).startMembersHere,
  'restore-collections': async () => (await import('./restore-collections.ts')).restoreCollections,
  check: async () => (await import('./check.ts')).checkArchive,
  'test-storage': async () => (await import('./test-storage.ts')).testStorage,
  'tend-oplog': async () => (await import('./tend-oplog.ts')).tendOplog,
  sweep: async () => (await import('./sweep.ts')).sweepArchive,
  'serve-archive': async () => (await import('./serve-archive.ts')).serveArchive,
  'relay-channels': async () => (await import('./relay-channels.ts')).relayChannels,
  copy: async () => (await import('./copy.ts')).copyArchive,
  repair: async () => (await import('./repair.ts')).repairArchive,
  'oplog-find': async () => (await import('./oplog-find.ts')).findInOplog,
};

/** For a process that waits for its task: what it would load then, before somebody waits for it. */
export async function loadUsualTasks(): Promise<void> {
  for (const kind of ['backup', 'publish', 'restore-collections'] as const) await functions[kind]();
}

export async function runTask(kind: TaskKind, input: unknown, context: TaskContext): Promise<unknown> {
  const run = (await functions[kind]()) as (input: unknown, context: TaskContext) => Promise<unknown>;
  return await run(input, context);
}
