/**
 * How a service of this host fares, asked by its deployer over a socket in the file system: only root and the service's
 * own user can reach it. On Windows it is a named pipe, whose name only administrators and the system may make and which they alone write to. HTTP with JSON: `GET /status`, and `POST /drain {"drain": true|false}`.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { dirname } from 'node:path';
import * as z from 'zod';

export const serviceStatus = z.object({
  version: z.string(),
  pid: z.int(),
  /** `waiting` for its identity, or `listening` on its port. */
  state: z.enum(['waiting', 'listening']),
  port: z.int().nullable(),
  /** Tasks that end by themselves. Those that go on for ever do not keep an update waiting. */
  tasks: z.array(z.object({ taskId: z.string(), kind: z.string() })),
});
export type ServiceStatus = z.infer<typeof serviceStatus>;

export type StatusSource = { status(): ServiceStatus; /** No new task is taken while it is on. */ drain(on: boolean): void };

export async function answerStatus(path: string, source: StatusSource): Promise<{ close(): Promise<void> }> {
  const http = createServer((asked, answer) => {
    const body: Buffer[] = [];
    asked.on('data', (bytes: Buffer) => body.push(bytes));
    asked.on('end', () => {
      try {
        if (asked.method === 'POST' && asked.url === '/drain') source.drain((JSON.parse(Buffer.concat(body).toString()) as { drain: unknown }).drain === true);
        else if (asked.method !== 'GET' || asked.url !== '/status') return answer.writeHead(404).end();
        answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(source.status()));
      } catch {
        answer.writeHead(400).end();
      }
    });
  });
  const isFile = process.platform !== 'win32';
  if (isFile) {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    await rm(path, { force: true });
  }
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(path, resolve);
  });
  if (isFile) await chmod(path, 0o660);
  return {
    async close() {
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}

/** Far more than a service with all its tasks has to say. */
const answerBytes = 1 << 20;

/**
 * What the service says of itself; undefined when it does not: within the deadline, in so many bytes, and, where `pid` is given, as that process.
 * Whoever has taken the name of a service that is down can neither keep its deployer waiting nor be taken for it.
 */
export async function askStatus(path: string, options: { order?: { drain: boolean }; pid?: number; deadlineMs?: number } = {}): Promise<ServiceStatus | undefined> {
  const { order, pid, deadlineMs = 2_000 } = options;
  return await new Promise((resolve) => {
    const none = (): void => end(undefined);
    const asked = request({ socketPath: path, path: order === undefined ? '/status' : '/drain', method: order === undefined ? 'GET' : 'POST' }, (answer) => {
      const body: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > answerBytes) none();
        else body.push(piece);
      });
      answer.on('error', none);
      answer.on('end', () => {
        try {
          const status = serviceStatus.parse(JSON.parse(Buffer.concat(body).toString()));
          end(pid === undefined || status.pid === pid ? status : undefined);
        } catch {
          none();
        }
      });
    });
    const timer = setTimeout(none, deadlineMs);
    function end(status: ServiceStatus | undefined): void {
      clearTimeout(timer);
      asked.destroy();
      resolve(status);
    }
    asked.on('error', none);
    asked.end(order === undefined ? undefined : JSON.stringify(order));
  });
}
