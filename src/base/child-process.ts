import { execFile, spawn } from 'node:child_process';
import { childFailed } from './failures.ts';

export type Finished = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a program without a shell to its end. Past the deadline it is killed, and the failure says so. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { deadlineMs: number; input?: string; env?: NodeJS.ProcessEnv; signal?: AbortSignal },
): Promise<Finished> {
  return await new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: options.deadlineMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20, env: options.env, signal: options.signal },
      (error, stdout, stderr) => {
        const ended = child.exitCode ?? (error === null ? 0 : undefined);
        if (ended !== undefined) return resolve({ code: ended, stdout, stderr });
        const why = error?.killed === true ? `no answer within ${options.deadlineMs / 1000} s` : (error?.message ?? 'a signal');
        reject(childFailed({ what: program, status: why, output: stderr.trim().slice(-500) }, error));
      },
    );
    // A program may end without reading its input.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs a program and fails unless it ends with 0. */
export async function requireProgram(program: string, args: readonly string[], options: Parameters<typeof runProgram>[2]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, options);
  if (code !== 0) throw childFailed({ what: `${program} ${args[0] ?? ''}`.trim(), status: `exit code ${code}`, output: stderr.trim().slice(-500) });
  return stdout;
}

/** Starts a program that outlives this process; `ended` has its exit code if this process is still there then. `verbatim`: its arguments are not quoted for Windows. */
export async function startAside(program: string, args: readonly string[], options: { verbatim?: boolean } = {}): Promise<{ readonly ended: Promise<number | null> }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, stdio: 'ignore', windowsHide: true, windowsVerbatimArguments: options.verbatim === true });
    child.once('error', reject);
    const ended = new Promise<number | null>((end) => child.once('exit', end));
    child.once('spawn', () => resolve({ ended }));
    child.unref();
  });
}
