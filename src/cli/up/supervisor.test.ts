import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { systemClock, type Clock } from '../../base/clock.ts';
import { until } from '../../base/deadline.ts';
import type { PartLog } from './part-log.ts';
import { supervise, type Part, type Supervisor } from './supervisor.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-supervisor-'));
after(() => rmSync(place, { recursive: true }));
const native = new URL('../../base/native.ts', import.meta.url).href;

const programs = {
  good: `import { dieWithParent } from '${native}'; dieWithParent(15); process.on('SIGTERM', () => process.exit(0)); process.send({ kind: 'ready', pid: process.pid }); setInterval(() => {}, 1000);`,
  deaf: `process.on('SIGTERM', () => {}); process.send({ kind: 'ready', pid: process.pid }); setInterval(() => {}, 1000);`,
  broken: `console.error(JSON.stringify({ level: 'error', message: 'the catalog could not be opened', why: 'it is from the future' })); process.exit(3);`,
  told: `console.log(process.pid); process.send({ kind: 'ready', pid: process.pid }); setInterval(() => {}, 1000);`,
  silent: `setInterval(() => {}, 1000);`,
};

function part(name: string, program: keyof typeof programs, stopWithinMs = 10_000): Part {
  const path = join(place, `${program}.mjs`);
  writeFileSync(path, programs[program]);
  const said: string[] = [];
  const log: PartLog = { write: (text) => void said.push(...text.trimEnd().split('\n')), tail: () => said, close: () => {} };
  return { name, program: path, args: [], log, stopWithinMs };
}

function open(parts: Part[], options: { readyWithinMs?: number; clock?: Clock } = {}): { supervisor: Supervisor; said: string[] } {
  const said: string[] = [];
  const supervisor = supervise(parts, { node: [process.execPath], clock: systemClock, say: (line) => void said.push(line), shortestWaitMs: 10, ...options });
  return { supervisor, said };
}

const pidOf = (ready: Record<string, unknown>, name: string): number => (ready[name] as { pid: number }).pid;

/** Zombies count as gone: they hold nothing. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('all parts are ready before "up" is, and a stop ends them all', async () => {
  const { supervisor, said } = open([part('server', 'good'), part('transport', 'good')]);
  const ready = await supervisor.ready;
  const pids = [pidOf(ready, 'server'), pidOf(ready, 'transport')];
  assert.ok(pids.every(isRunning));
  await supervisor.stop();
  assert.deepEqual(pids.filter(isRunning), []);
  assert.deepEqual(said, []);
});

test('a part that is killed is started again, and both are said', async () => {
  const { supervisor, said } = open([part('server', 'good')]);
  process.kill(pidOf(await supervisor.ready, 'server'), 'SIGKILL');
  await until('the server to run again', 10_000, () => (said.some((line) => line === 'server runs again') ? true : undefined));
  assert.match(said[0]!, /^server ended with SIGKILL; it is started again in [\d.]+ s$/);
  await supervisor.stop();
});

test('a part that ends again and again waits longer each time, until it has run for ten seconds', async () => {
  const waits: number[] = [];
  let nowMs = 0;
  const server = part('server', 'told');
  const { supervisor, said } = open([server], { clock: { ...systemClock, monotonicMs: () => nowMs, wait: async (ms) => void waits.push(ms) } });
  await supervisor.ready;
  for (const [round, ranMs] of [0, 9_999, 9_999, 10_000, 0].entries()) {
    nowMs += ranMs;
    process.kill(Number(server.log.tail().at(-1)), 'SIGKILL');
    await until('the server to run again', 10_000, () => (said.filter((line) => line === 'server runs again').length > round && server.log.tail().length > round + 1 ? true : undefined));
  }
  assert.deepEqual(waits, [10, 20, 40, 10, 20]);
  await supervisor.stop();
});

test('a part that cannot start at all fails "up" with its own words', async () => {
  const { supervisor } = open([part('server', 'broken'), part('transport', 'good')]);
  await assert.rejects(supervisor.ready, /the server did not start: it ended with exit code 3: the catalog could not be opened: it is from the future/);
  await supervisor.stop();
});

test('a part that never says it is ready fails "up" at the deadline', async () => {
  const { supervisor } = open([part('server', 'silent')], { readyWithinMs: 300 });
  await assert.rejects(supervisor.ready, /the server did not start: waited 0\.3 s/);
  await supervisor.stop();
});

test('a part that does not stop in its time is killed, and that is said', async () => {
  const { supervisor, said } = open([part('server', 'deaf', 300)]);
  const pid = pidOf(await supervisor.ready, 'server');
  await supervisor.stop();
  assert.equal(isRunning(pid), false);
  assert.deepEqual(said, ['server did not stop within 0.3 s and is killed']);
});

test('a supervisor that is killed leaves no part behind', async () => {
  part('server', 'good');
  const program = join(place, 'parent.mjs');
  writeFileSync(
    program,
    `import { supervise } from '${new URL('supervisor.ts', import.meta.url).href}';
     import { systemClock } from '${new URL('../../base/clock.ts', import.meta.url).href}';
     const log = { write() {}, tail: () => [], close: () => {} };
     const part = { name: 'server', program: '${join(place, 'good.mjs')}', args: [], log, stopWithinMs: 1000 };
     const { ready } = supervise([part], { node: [process.execPath], clock: systemClock, say() {} });
     console.log((await ready).server.pid);`,
  );
  const parent = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((resolve) => createInterface({ input: parent.stdout }).once('line', (line) => resolve(Number(line))));
  assert.ok(isRunning(pid));
  parent.kill('SIGKILL');
  await until('the part to end', 10_000, () => (isRunning(pid) ? undefined : true));
});
