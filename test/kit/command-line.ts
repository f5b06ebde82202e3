/** The command line in this process, with surroundings a test can hold in its hand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { ExitCode } from '../../src/cli/exit-codes.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';
import type { RestServer } from './rest-server.ts';

export type Said = { readonly code: ExitCode; readonly stdout: string; readonly stderr: string; readonly json: any };

export type CommandLine = {
  run(...words: string[]): Promise<Said>;
  /** As Ctrl-C would. False when nobody listens: then the process would have ended. */
  interrupt(): boolean;
  /** What is on stderr so far. */
  readonly stderr: () => string;
  readonly directory: string;
  readonly surroundings: Surroundings;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function openCommandLine(server?: Pick<RestServer, 'url' | 'token' | 'ca'>, changes: Partial<Surroundings> & { watched?: boolean } = {}): Promise<CommandLine> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-cli-'));
  let out: string[] = [];
  let err: string[] = [];
  const interrupts = new Set<() => void>();
  if (server !== undefined) {
    await writeFile(join(directory, 'token'), `${server.token}\n`);
    await writeFile(join(directory, 'ca.pem'), server.ca);
  }
  const surroundings: Surroundings = {
    version: '9.9.9',
    terminal: {
      stdout: (text) => void out.push(text),
      stderr: (text) => void err.push(text),
      isWatched: changes.watched ?? false,
      columns: () => 100,
    },
    clock: systemClock,
    timeZone: 'Europe/Copenhagen',
    settings: server === undefined ? {} : { server: server.url, tokenFile: join(directory, 'token') },
    dataDirectories: [join(directory, 'data')],
    signInFile: join(directory, 'kept', 'sign-in.json'),
    askSecret: async () => await Promise.resolve(undefined),
    onInterrupt(act) {
      interrupts.add(act);
      return () => void interrupts.delete(act);
    },
    programs: { node: [process.execPath], server: '/nonexistent', transport: '/nonexistent', depot: '/nonexistent' },
    processId: process.pid,
    tryLock: async () => true,
    inspectMachine: async () => [{ what: 'mount', ok: true, says: 'possible' }],
    addPackage: () => Promise.reject(new Error('no distribution server in this test')),
    listConfigurations: () => Promise.reject(new Error('no server to recover in this test')),
    recoverServer: () => Promise.reject(new Error('no server to recover in this test')),
    openRepositoryDirect: () => Promise.reject(new Error('no repository in this test')),
    ...changes,
  };
  return {
    directory,
    surroundings,
    stderr: () => err.join(''),
    interrupt() {
      for (const act of [...interrupts]) act();
      return interrupts.size > 0;
    },
    async run(...words) {
      [out, err] = [[], []];
      const code = await runCommandLine(words, surroundings);
      const stdout = out.join('');
      return { code, stdout, stderr: err.join(''), json: words.includes('--json') ? JSON.parse(stdout) : undefined };
    },
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  };
}
