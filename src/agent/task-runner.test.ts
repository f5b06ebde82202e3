import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { until } from '../base/deadline.ts';
import { openLog, silentLog, type Log } from '../base/log.ts';
import type { TaskEvent } from '../contract/tasks.ts';
import { openTaskRunner, type TaskRunner } from './task-runner.ts';

/** A stand-in for main/mover.ts that does what the task's input says. */
const mover = `
process.on('message', (message) => {
  if (message.kind === 'stop') { process.send({ kind: 'failed', failure: { code: 'base.stopped', message: 'stopped as asked', hint: '', retry: 'never', details: {} } }, () => process.exit(0)); return; }
  if (message.kind === 'paced') { process.send({ kind: 'finished', output: { waitMs: message.waitMs } }, () => process.exit(0)); return; }
  const { input } = message.task;
  if (input.pace) return process.send({ kind: 'pace', ask: 1, of: input.pace, bytes: 1000, bytesPerMs: 1 });
  process.send({ kind: 'event', event: { kind: 'step', atMs: 0, step: 'one' } });
  process.send({ kind: 'event', event: { kind: 'step', atMs: 0, step: 'two' } });
  const status = (key, value) => process.send({ kind: 'event', event: { kind: 'status', atMs: 0, key, value } });
  if (input.seconds) status('broken', { next: 'c2' });
  for (let second = 1; second <= (input.seconds ?? 0); second++) status('chain', { chain: second > 9 ? 'c2' : 'c1', through: second });
  if (input.die) process.kill(process.pid, 'SIGKILL');
  if (input.wait) return setInterval(() => {}, 1000);
  process.send({ kind: 'finished', output: { echo: input.echo } }, () => process.exit(0));
});
`;

type Opened = { runner: TaskRunner; workDirectory: string; cleaned: string[] };

async function open(t: TestContext, options: { limit?: number; log?: Log } = {}): Promise<Opened> {
  const workDirectory = await mkdtemp(join(tmpdir(), 'tm-runner-'));
  const program = join(workDirectory, 'mover.cjs');
  await writeFile(program, mover);
  await mkdir(join(workDirectory, 'tasks', 'left-by-a-dead-one'), { recursive: true });
  const cleaned: string[] = [];
  const programs = { mover: program, mount: '', guardian: '', node: [process.execPath] };
  const cleanUp = async (directory: string): Promise<void> => void cleaned.push(directory);
  const runner = await openTaskRunner({ workDirectory, programs, log: silentLog, cleanUp, ...options });
  t.after(async () => {
    await runner.close();
    await rm(workDirectory, { recursive: true });
  });
  return { runner, workDirectory, cleaned };
}

const never = new AbortController().signal;

test('a task runs in a child, its events come in order, and its result stays until it is forgotten', async (t) => {
  const { runner } = await open(t);
  await runner.start('t1', 'check', { echo: 7 });
  await runner.start('t1', 'check', { echo: 7 });
  const seen: [number, TaskEvent][] = [];
  const state = await runner.watch('t1', 0, (number, event) => void seen.push([number, event]), never);
  assert.deepEqual(state, { state: 'finished', output: { echo: 7 } });
  assert.deepEqual(seen.map(([number, event]) => [number, event.kind === 'step' && event.step]), [[1, 'one'], [2, 'two']]);
  assert.deepEqual(await runner.watch('t1', 1, (number) => assert.equal(number, 2), never), state);
  assert.deepEqual(runner.list(), [{ taskId: 't1', kind: 'check', state }]);
  runner.forget('t1');
  assert.deepEqual(runner.list(), []);
  await assert.rejects(runner.watch('t1', 0, () => {}, never), { code: 'agent.task-unknown' });
});

test('what a task said once is there hours later, though it said each second since how far it is', async (t) => {
  const { runner } = await open(t);
  await runner.start('t1', 'check', { seconds: 7_000 });
  await runner.watch('t1', 7_003, () => {}, never);
  const seen: [number, TaskEvent][] = [];
  await runner.watch('t1', 1, (number, event) => void seen.push([number, event]), never);
  const told = seen.map(([number, event]) => (event.kind === 'status' ? [number, event.key, event.value] : [number, event.kind]));
  assert.deepEqual(told.slice(0, 3), [[2, 'step'], [3, 'broken', { next: 'c2' }], [12, 'chain', { chain: 'c1', through: 9 }]], 'and how far it was when the chain ended');
  assert.deepEqual(told.at(-1), [7_003, 'chain', { chain: 'c2', through: 7_000 }]);
  assert.ok(seen.length < 2_500, `${seen.length} are kept`);
});

test('each line of the log about a task names the session whose work it is', async (t) => {
  const lines: string[] = [];
  const { runner } = await open(t, { log: openLog((line) => lines.push(line)) });
  await runner.start('t1', 'check', { echo: 7 }, 's1');
  await runner.watch('t1', 0, () => {}, never);
  assert.deepEqual(lines.map((line) => JSON.parse(line)).map(({ message, session, kind }) => [message, session, kind]), [['task started', 's1', 'check'], ['task ended', 's1', 'check']]);
});

test('a mover that is killed fails its task, names its last step, and its directory is cleaned and removed', async (t) => {
  const { runner, workDirectory, cleaned } = await open(t);
  await runner.start('t2', 'backup', { die: true });
  const state = await runner.watch('t2', 0, () => {}, never);
  assert.equal(state.state, 'failed');
  assert.ok(state.state === 'failed' && state.failure.code === 'agent.mover-died' && state.failure.message.includes('SIGKILL') && state.failure.message.includes('two'));
  assert.ok(cleaned.includes(join(workDirectory, 'tasks', 't2')));
  assert.equal(existsSync(join(workDirectory, 'tasks', 't2')), false);
});

test('tasks that ask for room by one name stand in one line', async (t) => {
  const { runner } = await open(t);
  const asked = ['host', 'host', 'policy p'].map(async (pace, at) => {
    await runner.start(`p${at}`, 'check', { pace });
    const state = await runner.watch(`p${at}`, 0, () => {}, never);
    return state.state === 'finished' ? (state.output as { waitMs: number }).waitMs : -1;
  });
  const [one, other, third] = await Promise.all(asked);
  assert.deepEqual([Math.min(one!, other!), third], [0, 0]);
  assert.ok(Math.max(one!, other!) > 0, 'the second one waits for the first');
});

test('a task can be stopped, and a stopped task says so', async (t) => {
  const { runner } = await open(t);
  await runner.start('t3', 'publish', { wait: true });
  const watched = runner.watch('t3', 0, (number) => void (number === 2 && runner.stop('t3')), never);
  const state = await watched;
  assert.ok(state.state === 'failed' && state.failure.code === 'base.stopped');
});

test('what a killed transport left is cleaned before the first task starts', async (t) => {
  const { workDirectory, cleaned } = await open(t);
  assert.deepEqual(cleaned, [join(workDirectory, 'tasks', 'left-by-a-dead-one')]);
  assert.equal(existsSync(cleaned[0]!), false);
});

test('one id is one task: another kind under it is refused, and so is a task past the limit', async (t) => {
  const { runner } = await open(t, { limit: 1 });
  await runner.start('t4', 'publish', { wait: true });
  await assert.rejects(runner.start('t4', 'check', {}), { code: 'agent.task-exists' });
  await assert.rejects(runner.start('t5', 'check', {}), { code: 'agent.too-many-tasks' });
  await until('the task to be listed', 5_000, () => (runner.list().length === 1 ? true : undefined));
});
