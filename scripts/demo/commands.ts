/** `tidemark up` and the ordinary commands, shown as they are typed; their own progress is the demo's progress. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { withDeadline } from '../../src/base/deadline.ts';
import type { Stage } from './stage.ts';
import { freePorts } from '../../test/kit/free-port.ts';

const program = new URL('../../src/main/tidemark.ts', import.meta.url).pathname;

/** What a command answers with --json: a document whose shape is the command's own. */
export type Answer = ReturnType<typeof JSON.parse>;

export type Tidemark = AsyncDisposable & {
  readonly url: string;
  readonly tokenFile: string;
  /** Shows and runs a command; answers its JSON, or throws with its own words. */
  run(...args: string[]): Promise<Answer>;
  /** The same without showing it. */
  quietly(...args: string[]): Promise<Answer>;
};

export async function startTidemark(dataDirectory: string, stage: Stage): Promise<Tidemark> {
  const [rest, link] = await freePorts(2);
  const listen = ['--listen', `127.0.0.1:${rest}`, '--transport-listen', `127.0.0.1:${link}`];
  stage.command(`tidemark up --data ${dataDirectory}`);
  const up = spawn(process.execPath, [program, 'up', '--data', dataDirectory, ...listen, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ready = await readyLine(up);
  const where = ['--json', '--server', ready.url, '--token-file', ready.tokenFile];
  const quietly = async (...args: string[]): Promise<Answer> => await answerOf([...args, ...where], false);
  return {
    ...ready,
    quietly,
    run: async (...args) => {
      stage.command(['tidemark', ...args].map(quoted).join(' '));
      return await answerOf([...args, ...where], stage.isWatched);
    },
    [Symbol.asyncDispose]: async () => await end(up),
  };
}

async function readyLine(up: ChildProcess): Promise<{ url: string; tokenFile: string }> {
  return await withDeadline(
    '"tidemark up" to be ready',
    60_000,
    () =>
      new Promise((resolve, reject) => {
        up.once('close', (code) => reject(new Error(`tidemark up ended with ${code} before it was ready`)));
        createInterface({ input: up.stdout! }).once('line', (line) => resolve(JSON.parse(line) as { url: string; tokenFile: string }));
      }),
  );
}

async function answerOf(args: readonly string[], showProgress: boolean): Promise<Answer> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', showProgress ? 'inherit' : 'pipe'] });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout!.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended ?? -1));
  });
  const [stdout, stderr] = [Buffer.concat(out).toString(), Buffer.concat(err).toString()];
  if (code !== 0) throw new Error(`tidemark ${args.slice(0, 3).join(' ')} ended with ${code}: ${stderr.trim().slice(-1500)} ${stdout.trim().slice(0, 500)}`);
  return JSON.parse(stdout);
}

async function end(up: ChildProcess): Promise<void> {
  if (up.exitCode !== null || up.signalCode !== null) return;
  const closed = new Promise((resolve) => up.once('close', resolve));
  up.kill('SIGTERM');
  await withDeadline('"tidemark up" to end', 30_000, async () => await closed).catch(() => up.kill('SIGKILL'));
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}
