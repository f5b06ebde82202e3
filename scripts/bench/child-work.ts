import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { withDeadline } from '../../src/base/deadline.ts';

const HOUR_MS = 3_600_000;

/** Gives a program of this folder its job as a message and waits for its one answer. */
export async function workOfChild<Job extends object, Done>(program: string, job: Job): Promise<Done> {
  const child = spawn(process.execPath, [join(import.meta.dirname, program)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, NODE_COMPILE_CACHE: '' } });
  return await withDeadline(program, HOUR_MS, async () => {
    const done = new Promise<Done>((resolve, reject) => {
      child.once('message', (message) => resolve(message as Done));
      child.once('close', (code) => reject(new Error(`${program} ended with ${code}`)));
    });
    child.send(job);
    return await done;
  }).finally(() => child.kill('SIGKILL'));
}
