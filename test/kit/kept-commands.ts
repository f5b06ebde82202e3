/**
 * Commands of the command line in one process that stays: a test that asks a hundred times how something stands does not
 * start Node a hundred times. What runs is the product's own, from its words to its exit code.
 */
import { fork } from 'node:child_process';
import { withDeadline } from '../../src/base/deadline.ts';
import type { CliResult } from './platform.ts';

export type Asked = { readonly id: number; readonly words: readonly string[] };
export type Answered = { readonly id: number; readonly code: number; readonly stdout: string; readonly stderr: string };

export type KeptCommands = { run(words: readonly string[]): Promise<CliResult>; close(): void };

const longestMs = 600_000;

/** `start` is what starts Node, as `nsenter` does it in the network of another host. */
export function openKeptCommands([program, ...first]: readonly [string, ...string[]], env: NodeJS.ProcessEnv): KeptCommands {
  const child = fork(new URL('./kept-commands-child.ts', import.meta.url).pathname, [], { execPath: program, execArgv: first, env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const waiting = new Map<number, PromiseWithResolvers<CliResult>>();
  let ids = 0;
  child.on('message', ({ id, code, stdout, stderr }: Answered) => {
    waiting.get(id)?.resolve({ code, stdout, stderr, json: jsonOf(stdout) });
    waiting.delete(id);
  });
  child.once('close', (code, signal) => {
    for (const one of waiting.values()) one.reject(new Error(`the process that runs the commands ended with ${code ?? signal}`));
    waiting.clear();
  });
  return {
    async run(words) {
      const answer = Promise.withResolvers<CliResult>();
      const id = ++ids;
      waiting.set(id, answer);
      child.send({ id, words } satisfies Asked);
      return await withDeadline(`tidemark ${words.slice(0, 3).join(' ')}`, longestMs, async () => await answer.promise);
    },
    close: () => child.disconnect(),
  };
}

function jsonOf(stdout: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch {
    // Commands that fail print their failure as text.
    return undefined;
  }
}
