/**
 * A program of the operator's: judged, run without a shell, and ended with all its group (docs/design/hooks.md).
 *
 *   judged ──▶ runs ──exits──▶ ended, the rest of its group killed
 *               ├─ deadline, stop ──▶ SIGTERM ──5 s──▶ SIGKILL ──▶ ended
 */
import { spawn } from 'node:child_process';
import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { hookNotTrusted, hookNotStarted } from './failures.ts';

export const hooksDirectory = '/etc/tidemark/hooks.d';
const setpriv = '/usr/bin/setpriv';
const graceMs = 5_000;
const keptBytes = 8_192;

export type HookRun = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly directory?: string;
};
export type HookEnd = { readonly status: string; readonly ok: boolean; readonly output: string };

/** Fails unless root alone decides what stands at this path. */
export async function demandTrusted(directory: string, program: string): Promise<string> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(program)) throw hookNotTrusted({ program, why: 'it is not the name of a file in the directory of hooks' });
  const path = join(directory, program);
  for (let at = path; ; at = dirname(at)) {
    const found = await lstat(at).catch((error: NodeJS.ErrnoException) => {
      throw hookNotTrusted({ program: path, why: error.code === 'ENOENT' ? `${at} does not exist` : error.message }, error);
    });
    const isProgram = at === path;
    if (isProgram ? !found.isFile() : !found.isDirectory()) throw hookNotTrusted({ program: path, why: `${at} is not a plain ${isProgram ? 'file' : 'directory'}` });
    if (found.uid !== 0) throw hookNotTrusted({ program: path, why: `${at} does not belong to root` });
    if ((found.mode & 0o022) !== 0) throw hookNotTrusted({ program: path, why: `${at} may be written by others than root` });
    if (isProgram && (found.mode & 0o111) === 0) throw hookNotTrusted({ program: path, why: 'it is not executable' });
    if (at === '/') return path;
  }
}

export async function runHookProgram({ program, args, env, deadlineMs, clock, signal, directory = hooksDirectory }: HookRun): Promise<HookEnd> {
  const path = await demandTrusted(directory, program);
  signal.throwIfAborted();
  // A group of its own, so that one signal reaches all that it starts.
  const child = spawn(setpriv, ['--pdeathsig', 'KILL', '--no-new-privs', '--ambient-caps=-all', '--inh-caps=-all', '--', path, ...args], { cwd: '/', env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const tail = keepTail();
  child.stdout.on('data', tail.add);
  child.stderr.on('data', tail.add);
  const kill = (how: 'SIGTERM' | 'SIGKILL'): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, how);
    } catch {
      // The group is gone.
    }
  };
  let cut: string | undefined;
  const over = new AbortController();
  const end = async (why: string): Promise<void> => {
    if (cut !== undefined || over.signal.aborted) return;
    cut = why;
    kill('SIGTERM');
    await clock.wait(graceMs, over.signal).catch(() => {});
    kill('SIGKILL');
  };
  const onStop = (): void => void end('it was stopped');
  signal.addEventListener('abort', onStop, { once: true });
  clock.wait(deadlineMs, over.signal).then(async () => await end(`it was not done within ${deadlineMs / 1000} s`), () => {});
  try {
    const { code, by } = await new Promise<{ code: number | null; by: NodeJS.Signals | null }>((resolve, reject) => {
      child.on('error', (error) => reject(hookNotStarted({ program: path, why: error.message }, error)));
      // Not `close`: a child that was left behind may hold the pipes for ever.
      child.on('exit', (status, how) => resolve({ code: status, by: how }));
    });
    const status = cut ?? (code === null ? `signal ${by}` : `exit code ${code}`);
    return { status, ok: cut === undefined && code === 0, output: tail.text() };
  } finally {
    over.abort(new Error('the hook has ended'));
    signal.removeEventListener('abort', onStop);
    kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function keepTail(): { add(part: Buffer): void; text(): string } {
  let kept = Buffer.alloc(0);
  let isCut = false;
  return {
    add(part) {
      const all = Buffer.concat([kept, part]);
      isCut ||= all.length > keptBytes;
      kept = all.subarray(-keptBytes);
    },
    text: () => `${isCut ? '… ' : ''}${kept.toString('utf8').replaceAll(/[^\P{Cc}\n]/gu, ' ').trim()}`,
  };
}
