import type { Hook, HookOfPolicy } from '../../contract/routes/hooks.ts';
import { listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { durationOf } from '../numbers.ts';
import { showTable } from '../table.ts';

export async function addHook(invocation: Invocation): Promise<ExitCode> {
  const [host, deadlineSeconds, onFailure] = [textOf(invocation, 'on'), durationOf(invocation, 'deadline'), textOf(invocation, 'onFailure') as Hook['onFailure'] | undefined];
  const body = { set: invocation.args[0]!, moment: textOf(invocation, 'when') as Hook['moment'], program: textOf(invocation, 'program')!, args: listOf(invocation, 'arg'), ...(host !== undefined && { host }), ...(deadlineSeconds !== undefined && { deadlineSeconds }), ...(onFailure !== undefined && { onFailure }) };
  const hook = await (await invocation.client()).call('hook.add', { body });
  invocation.answer(hook, () => `${hook.program} runs on ${hook.host} ${hook.moment} each backup of ${hook.set} (${hook.id})${hook.notes.map((note) => `\nnote: ${note}`).join('')}`);
  return exitCodes.done;
}

export async function listHooks(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('hook.list');
  invocation.answer(answer, () =>
    answer.hooks.length + answer.ofPolicies.length === 0
      ? 'there is no hook; add one with "tidemark hook add"'
      : showTable<Hook | HookOfPolicy>(
          [
            { title: 'HOOK', cell: (row) => ('id' in row ? row.id : '–') },
            { title: 'OF', cell: (row) => ('set' in row ? `set ${row.set}` : `policy ${row.policy}`) },
            { title: 'WHEN', cell: (row) => row.moment },
            { title: 'PROGRAM', cell: (row) => [row.program, ...row.args].join(' ') },
            { title: 'ON', cell: (row) => row.host },
            { title: 'DEADLINE', cell: (row) => `${row.deadlineSeconds} s, else ${row.onFailure}` },
          ],
          [...answer.hooks, ...answer.ofPolicies],
        ),
  );
  return exitCodes.done;
}

export async function removeHook(invocation: Invocation): Promise<ExitCode> {
  const hook = await (await invocation.client()).call('hook.remove', { params: { hook: invocation.args[0]! } });
  invocation.answer(hook, () => `${hook.program} runs no more ${hook.moment} backups of ${hook.set}`);
  return exitCodes.done;
}
