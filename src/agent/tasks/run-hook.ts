import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import { runHookProgram } from '../hook-program.ts';
import type { TaskContext } from '../task-context.ts';

export async function runHook({ program, args, environment, deadlineSeconds }: TaskInput<'run-hook'>, { clock, signal, say, log }: TaskContext): Promise<TaskOutput<'run-hook'>> {
  const { status, ok, output } = await runHookProgram({ program, args, env: environment, deadlineMs: deadlineSeconds * 1000, clock, signal });
  for (const line of output.split('\n')) if (line.trim() !== '') say(`${program}: ${line}`);
  log.info('a hook has ended', { program, status, session: environment['TIDEMARK_SESSION'] });
  return { status, ok };
}
