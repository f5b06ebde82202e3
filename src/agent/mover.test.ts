import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLog } from '../base/log.ts';
import { runMover } from './mover.ts';
import type { FromMover } from './task-runner.ts';

test('what a mover logs names its task and the session whose work it is', async () => {
  const lines: string[] = [];
  const sent: FromMover[] = [];
  const task = { taskId: 't1', session: 's1', kind: 'prove' as const, input: 'no input of any task', directory: '', keepDirectory: '', programs: { mover: '', mount: '', guardian: '', node: [] } };
  await runMover(task, (message) => void sent.push(message), new AbortController().signal, { onConnection: () => {} }, openLog((line) => lines.push(line)));
  assert.deepEqual(lines.map((line) => JSON.parse(line)).map(({ message, taskId, kind, session }) => [message, taskId, kind, session]), [['unexpected error', 't1', 'prove', 's1']]);
  assert.equal(sent.at(-1)?.kind, 'failed');
});
