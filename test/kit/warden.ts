/**
 * A warden as root beside a test that writes as somebody else: a child process with the real front door and a real file
 * system. Its time is turned by a time namespace, in which the kernel's own clock since the boot is ahead.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';

const front = join(import.meta.dirname, '../../src/main/warden.ts');
export const writerUid = 65_534;

export type TestWarden = AsyncDisposable & {
  readonly place: string;
  readonly socket: string;
  readonly state: string;
  /** What locks what a kill left, and lifts what is over. */
  round(): Promise<void>;
  /** Ends the warden and starts it where so much more time has passed, by the kernel's clock, of the same boot. */
  passDays(days: number): Promise<void>;
  /** Works as the user who writes there, who is not root. */
  asWriter<T>(work: () => Promise<T>): Promise<T>;
};

export function whyNoWarden(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root, for immutable flags';
}

/** `parent`: a folder on the file system that is meant. */
export async function openTestWarden(parent = tmpdir()): Promise<TestWarden> {
  const root = mkdtempSync(join(parent, 'tm-warden-'));
  chmodSync(root, 0o755);
  const place = join(root, 'repository');
  mkdirSync(place, { mode: 0o700 });
  chownSync(place, writerUid, writerUid);
  const state = join(root, 'state');
  const socket = join(root, 'warden.sock');
  const words = ['--state', state, '--socket', socket];
  await requireProgram(process.execPath, [front, ...words, 'adopt', place], { deadlineMs: 30_000 });
  let child: ChildProcess;
  let passed = 0;
  const begin = async (): Promise<void> => {
    child = spawn('unshare', ['--time', '--boottime', String(passed * 86_400), process.execPath, front, ...words], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`the warden ended with ${code}`)));
    });
    chmodSync(socket, 0o666);
  };
  const end = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  await begin();
  return {
    place,
    socket,
    state,
    async round() {
      const done = new Promise((resolve) => child.once('message', resolve));
      child.kill('SIGUSR1');
      await done;
    },
    async passDays(days) {
      await end();
      passed += days;
      await begin();
    },
    async asWriter(work) {
      process.setegid!(writerUid);
      process.seteuid!(writerUid);
      try {
        return await work();
      } finally {
        process.seteuid!(0);
        process.setegid!(0);
      }
    },
    async [Symbol.asyncDispose]() {
      await end();
      // It complains of links, which have no flags.
      await requireProgram('chattr', ['-R', '-f', '-i', place], { deadlineMs: 30_000 }).catch(() => {});
      rmSync(root, { recursive: true, force: true });
    },
  };
}
