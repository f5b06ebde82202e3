import assert from 'node:assert/strict';
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock, type Clock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { runHookProgram, type HookEnd, type HookRun } from './hook-program.ts';

const skip = process.getuid?.() !== 0 ? 'only root can make what root alone can write' : existsSync('/usr/bin/setpriv') ? false : 'there is no setpriv on this machine';
// Each directory above has to be root's alone, which /tmp is not.
const directory = skip === false ? mkdtempSync('/run/tidemark-hooks-') : '';
if (directory !== '') chmodSync(directory, 0o755);
after(() => {
  if (directory !== '') rmSync(directory, { recursive: true, force: true });
});

function put(name: string, text: string): void {
  writeFileSync(join(directory, name), `#!/bin/bash\n${text}\n`);
  chmodSync(join(directory, name), 0o755);
}
const run = async (program: string, more: Partial<HookRun> = {}): Promise<HookEnd> => await runHookProgram({ program, args: [], env: {}, deadlineMs: 20_000, clock: systemClock, signal: new AbortController().signal, directory, ...more });
const isThere = (pid: number): boolean => {
  try {
    // A zombie that nobody has waited for yet is dead.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

test('a hook gets its arguments whole, the documented environment and nothing else, and no capability', { skip }, async () => {
  put('show', 'printf "%s|" "$@"; echo; env | grep -v "^\\(PWD\\|SHLVL\\|_\\)=" | sort | tr "\\n" " "; pwd; grep -E "^(CapInh|CapAmb|NoNewPrivs)" /proc/self/status | tr -s "\\t\\n" " "; readlink /proc/self/fd/0; ls /proc/self/fd | tr "\\n" " "');
  const ours = openSync('/etc/hostname', 'r');
  const { ok, status, output } = await run('show', { args: ['a b', '$(id)', "'; rm -rf /", ''], env: { TIDEMARK_HOOK: 'before' } });
  assert.deepEqual([ok, status], [true, 'exit code 0']);
  const [args, env, caps, input, files] = output.split('\n');
  assert.equal(args, "a b|$(id)|'; rm -rf /||");
  assert.equal(env, 'LANG=C.UTF-8 PATH=/usr/bin:/bin TIDEMARK_HOOK=before /');
  assert.equal(caps, 'CapInh: 0000000000000000 CapAmb: 0000000000000000 NoNewPrivs: 1 /dev/null');
  closeSync(ours);
  assert.ok(!input!.split(' ').includes(String(ours)) && files === undefined, 'a file that we have open is not open there');
});

test('a hook that fails says how, with the end of what it printed and no control characters', { skip }, async () => {
  put('noisy', 'for i in {1..3000}; do echo "line $i"; done; printf "\\033[31mred\\a\\n"; exit 7');
  const { ok, status, output } = await run('noisy');
  assert.deepEqual([ok, status], [false, 'exit code 7']);
  assert.ok(Buffer.byteLength(output) <= 8_200 && output.startsWith('… '));
  assert.match(output, /line 3000\n \[31mred $|line 3000\n \[31mred$/);
});

test('at its deadline a hook ends with all its group, also one that takes no notice of SIGTERM', { skip }, async () => {
  put('stubborn', 'trap "" TERM; sleep 600 & echo $! $$; while :; do sleep 1; done');
  // Five seconds of grace are none here.
  const hasty: Clock = { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 20, signal) };
  const { ok, status, output } = await run('stubborn', { deadlineMs: 10_000, clock: hasty });
  assert.deepEqual([ok, status], [false, 'it was not done within 10 s']);
  const pids = output.split(/\s+/).map(Number);
  assert.equal(pids.length, 2);
  await until('both to be gone', 5_000, () => (pids.some(isThere) ? undefined : true));
});

test('what a hook leaves running ends with it, and does not hold up the session', { skip }, async () => {
  put('leaves', 'sleep 600 & echo $!');
  const { ok, output } = await run('leaves');
  assert.equal(ok, true);
  await until('it to be gone', 5_000, () => (isThere(Number(output)) ? undefined : true));
});

test('a hook of a session that is stopped is stopped', { skip }, async () => {
  put('long', 'echo up; sleep 600');
  const stop = new AbortController();
  const running = run('long', { signal: stop.signal });
  await systemClock.wait(100);
  stop.abort(new Error('stopped'));
  assert.deepEqual((await running).ok, false);
});

test('what others than root could have put there is not run', { skip }, async () => {
  const refusal = async (program: string, more: Partial<HookRun> = {}): Promise<string> => await run(program, more).then(() => 'it ran', (error: Error) => error.message);
  put('good', 'exit 0');
  symlinkSync('good', join(directory, 'link'));
  put('open', 'exit 0');
  chmodSync(join(directory, 'open'), 0o775);
  put('others', 'exit 0');
  chownSync(join(directory, 'others'), 65_534, 0);
  writeFileSync(join(directory, 'text'), 'exit 0', { mode: 0o644 });
  const shared = join(directory, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  writeFileSync(join(shared, 'x'), '#!/bin/sh\n', { mode: 0o755 });
  assert.match(await refusal('link'), /is not a plain file/);
  assert.match(await refusal('open'), /may be written by others than root/);
  assert.match(await refusal('others'), /does not belong to root/);
  assert.match(await refusal('text'), /it is not executable/);
  assert.match(await refusal('absent'), /does not exist/);
  assert.match(await refusal('x', { directory: shared }), /shared may be written by others than root/);
  for (const name of ['../good', 'a/b', '.hidden', '-rf', '']) assert.match(await refusal(name), /not the name of a file/);
  assert.equal(await refusal('good'), 'it ran');
});
