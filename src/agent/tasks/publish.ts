import { createServer, type AddressInfo } from 'node:net';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import type { Mongod } from '../../mongo/mongod.ts';
import { portInUse, publicationEnded } from '../failures.ts';
import type { Moment } from '../moment.ts';
import { atMoment } from '../reach.ts';
import type { TaskContext } from '../task-context.ts';

/** A long oplog may have to be replayed first. */
const longestStartMs = 12 * 3_600_000;

/** A moment as a mongod that people and tools connect to, on a mount: nothing is copied, writes are kept aside and thrown away. */
export async function publish(input: TaskInput<'publish'>, context: TaskContext): Promise<TaskOutput<'publish'>> {
  const endsMs = context.clock.monotonicMs() + input.expiresMs;
  if (input.port !== null && (await isTaken(input.port))) throw portInUse({ port: input.port });
  const port = input.port ?? (await freePort());
  const withUsersOf = ({ about }: Moment): boolean => input.withUsers && about.accessControl;
  const starting = { ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(longestStartMs)]) };
  return await atMoment(input, starting, (moment) => ({ kind: 'serve', port, withUsers: withUsersOf(moment) }), async ({ moment, mongod, mount }) => {
    context.status('ready', { port, uri: `mongodb://127.0.0.1:${port}/?directConnection=true`, at: moment.at, mount, withUsers: withUsersOf(moment) });
    context.step('published');
    const why = await serveUntil(endsMs, mongod, context);
    if (typeof why === 'object') throw publicationEnded({ port, status: why.signal ?? `exit code ${why.code}` });
    context.step(`ending: ${why}`);
    return { why };
  });
}

async function serveUntil(endsMs: number, mongod: Mongod, { clock, signal }: TaskContext): Promise<'expired' | 'stopped' | Awaited<Mongod['exited']>> {
  const ends = new AbortController();
  const stop = (): void => ends.abort();
  signal.addEventListener('abort', stop, { once: true });
  const expired = clock.wait(Math.max(0, endsMs - clock.monotonicMs()), ends.signal).then(
    () => 'expired' as const,
    () => 'stopped' as const,
  );
  try {
    return await Promise.race([expired, mongod.exited]);
  } finally {
    ends.abort();
  }
}

async function isTaken(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(false)));
  });
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
