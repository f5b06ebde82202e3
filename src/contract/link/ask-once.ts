/**
 * One question over HTTPS on a connection of its own: the other end is judged after the handshake, before a byte of the
 * question is sent, and the connection serves nobody else. A failure that is answered is thrown as it was told.
 */
import { request } from 'node:https';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import * as z from 'zod';
import { withDeadline } from '../../base/deadline.ts';
import { fromWire, isFailure } from '../../base/failure.ts';
import { wireFailure } from '../values.ts';

export type Asked = {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions;
  /** Why what shows itself there is not who is meant, or undefined. */
  readonly distrust: (socket: TLSSocket) => string | undefined;
  readonly notTrusted: (why: string) => Error;
  readonly notReached: (why: string, cause?: unknown) => Error;
};

export type Question = { readonly path: string; /** JSON; without one it is a GET. */ readonly body?: unknown; readonly range?: string; readonly deadlineMs: number; readonly stop?: AbortSignal };

export async function askOnce(asked: Asked, question: Question): Promise<Buffer> {
  return await withDeadline(`${asked.host}:${asked.port} to answer`, question.deadlineMs, async (signal) => {
    const socket = await reach(asked, signal);
    try {
      const why = asked.distrust(socket);
      if (why !== undefined) throw asked.notTrusted(why);
      const { status, bytes } = await exchange(socket, asked, question, signal);
      if (status < 400) return bytes;
      const failure = wireFailure.safeParse(jsonIn(bytes));
      throw failure.success ? fromWire(failure.data) : asked.notReached(`it answered ${status} and nothing that can be understood`);
    } finally {
      socket.destroy();
    }
  }, question.stop);
}

/** The same, for an answer in JSON. */
export async function askForJson<S extends z.ZodType>(schema: S, asked: Asked, question: Question): Promise<z.infer<S>> {
  const found = schema.safeParse(jsonIn(await askOnce(asked, question)));
  if (!found.success) throw asked.notReached('its answer is not understood; the versions may not fit together');
  return found.data;
}

async function reach({ host, port, tls, notReached }: Asked, signal: AbortSignal): Promise<TLSSocket> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ ...tls, host, port });
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', (error) => reject(notReached(error.message, error)));
  });
}

async function exchange(socket: TLSSocket, { notReached }: Asked, { path, body, range }: Question, signal: AbortSignal): Promise<{ status: number; bytes: Buffer }> {
  return await new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(isFailure(error) ? error : notReached(error.message, error));
    const headers = { host: 'tidemark', 'content-type': 'application/json', ...(range !== undefined && { range }) };
    const sent = request({ createConnection: () => socket, method: body === undefined ? 'GET' : 'POST', path, headers, signal }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }));
    });
    sent.once('error', fail);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
