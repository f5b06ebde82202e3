/**
 * A line to one server of the directory: TCP, TLS judged by the directory's own authority, and only whole, checked
 * messages handed on (messages.ts).
 *
 *   ldaps      TCP, TLS
 *   starttls   TCP, StartTLS asked in the clear and granted, TLS; anything sent besides the grant ends the line
 *   none       TCP
 *
 * Nothing else is said before TLS: no name, no password.
 */
import { connect as dialTcp, isIP, type Socket } from 'node:net';
import { connect as dialTls, type ConnectionOptions } from 'node:tls';
import { Duplex } from 'node:stream';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import type { DirectorySettings } from '../contract/directory.ts';
import { answerUnusable, notTrusted } from './failures.ts';
import { Malformed, messageLength, requireMessage, resultCode } from './messages.ts';

export type DirectoryServer = DirectorySettings['servers'][number];
export type LineOptions = Pick<DirectorySettings, 'encryption' | 'caPem'> & { readonly server: DirectoryServer; readonly connectMs: number; readonly signal: AbortSignal };
/** Which of the two failed, for a test of the directory. */
export type LineStep = 'connect' | 'encrypt';

export const conversationBytes = 64 << 20;

export const nameOf = ({ host, port }: DirectoryServer): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** One TCP connect, then TLS. `passed` is told of each step that is done. */
export async function openLine(options: LineOptions, passed: (step: LineStep) => void = () => {}): Promise<Line> {
  const { server, connectMs, signal, encryption } = options;
  const name = nameOf(server);
  const plain = await withDeadline(`a connection to ${name}`, connectMs, async (ends) => await dial(server, ends), signal);
  try {
    passed('connect');
    if (encryption === 'none') return new Line(plain, name);
    const secured = await withDeadline(`TLS with ${name}`, connectMs, async (ends) => {
      if (encryption === 'starttls') await askForTls(plain, name, ends);
      return await secure(plain, options, ends);
    }, signal);
    passed('encrypt');
    return new Line(secured, name);
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

async function dial({ host, port }: DirectoryServer, signal: AbortSignal): Promise<Socket> {
  const socket = dialTcp({ host, port, noDelay: true });
  return await new Promise((resolve, reject) => {
    const end = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.once('connect', () => {
      socket.off('error', end);
      resolve(socket);
    });
    socket.once('error', end);
    signal.addEventListener('abort', () => end(signal.reason as Error), { once: true });
  });
}

/** Message 1: ExtendedRequest 1.3.6.1.4.1.1466.20037. */
const startTls = Buffer.concat([Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]), Buffer.from('1.3.6.1.4.1.1466.20037')]);

async function askForTls(socket: Socket, name: string, signal: AbortSignal): Promise<void> {
  const answer = await new Promise<Buffer>((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const settle = (act: () => void): void => {
      socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close');
      socket.pause();
      act();
    };
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      try {
        const length = messageLength(bytes, 0);
        if (length !== undefined && bytes.length >= length) settle(() => resolve(bytes));
      } catch (error) {
        settle(() => reject(error as Error));
      }
    });
    socket.once('error', (error) => settle(() => reject(error)));
    socket.once('close', () => settle(() => reject(new Error('it ended the connection'))));
    signal.addEventListener('abort', () => settle(() => reject(signal.reason as Error)), { once: true });
    socket.write(startTls);
  }).catch((error: unknown) => {
    throw error instanceof Malformed ? answerUnusable({ server: name, why: error.message }, error) : error;
  });
  const code = codeOf(answer, name);
  if (code !== 0) throw notTrusted({ server: name, why: `it refuses StartTLS with code ${code}` });
}

/** Of the answer to StartTLS, which is all that may have come: what follows it in the clear would be taken for the server's own word. */
function codeOf(answer: Buffer, name: string): number {
  try {
    if (messageLength(answer, 0) !== answer.length) throw new Malformed('more than an answer came before TLS');
    requireMessage(answer);
    return resultCode(answer);
  } catch (error) {
    throw answerUnusable({ server: name, why: error instanceof Error ? error.message : String(error) }, error);
  }
}

async function secure(socket: Socket, { server, caPem }: LineOptions, signal: AbortSignal): Promise<Socket> {
  const isName = isIP(server.host) === 0;
  const options: ConnectionOptions = { socket, host: server.host, ...(isName && { servername: server.host }), ...(caPem !== null && { ca: caPem }), minVersion: 'TLSv1.2', rejectUnauthorized: true };
  return await new Promise((resolve, reject) => {
    const secured = dialTls(options);
    const end = (error: NodeJS.ErrnoException): void => {
      secured.destroy();
      reject(isTrust(error) ? notTrusted({ server: nameOf(server), why: whyOf(error) }, error) : error);
    };
    secured.once('secureConnect', () => {
      secured.off('error', end);
      resolve(secured);
    });
    secured.once('error', end);
    secured.once('close', () => end(new Error('it ended the connection during TLS')));
    signal.addEventListener('abort', () => end(signal.reason as NodeJS.ErrnoException), { once: true });
  });
}

const trustCodes = /^(ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|ERR_OSSL|ERR_SSL|EPROTO|INVALID_CA)/;
const isTrust = (error: NodeJS.ErrnoException): boolean => trustCodes.test(error.code ?? '');

function whyOf(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate is over';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for another name (${error.message.replace(/^.*?: /, '').slice(0, 200)})`;
  if (/^(UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(code)) return 'its certificate is of another authority';
  return `TLS failed: ${code}`;
}

/** Whole checked messages from the server, whatever is written to it. Ends with `directory.answer-unusable` at the first that is not. */
export class Line extends Duplex {
  /** What ldapts asks of a socket: that it is open already. */
  readonly connecting = false;
  readonly readyState = 'open';
  /** Why it ended, where that was not asked for. */
  fault: Error | undefined;
  readonly #socket: Socket;
  readonly #name: string;
  #parts: Buffer[] = [];
  #held = 0;
  #wanted = 2;
  #seen = 0;

  constructor(socket: Socket, name: string) {
    super({ readableHighWaterMark: 1 << 20 });
    this.#socket = socket;
    this.#name = name;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.#fail(new Error('the server ended the connection')));
  }

  #fail(error: Error): void {
    if (this.destroyed) return;
    this.fault ??= isFailure(error) || !(error instanceof Malformed) ? error : answerUnusable({ server: this.#name, why: error.message }, error);
    this.destroy(this.fault);
  }

  /** Bytes are joined when a message is whole, not for each that comes: a server that sends them singly costs no more. */
  #take(bytes: Buffer): void {
    this.#seen += bytes.length;
    if (this.#seen > conversationBytes) return this.#fail(new Malformed(`more than ${conversationBytes} bytes of answers`));
    this.#parts.push(bytes);
    this.#held += bytes.length;
    if (this.#held < this.#wanted) return;
    try {
      this.#handOn();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #handOn(): void {
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    let at = 0;
    let length = messageLength(all, at);
    while (length !== undefined && all.length - at >= length) {
      const message = all.subarray(at, at + length);
      requireMessage(message);
      // More than the reader takes is held by TCP.
      if (!this.push(message)) this.#socket.pause();
      at += length;
      length = messageLength(all, at);
    }
    const rest = all.subarray(at);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    this.#wanted = length ?? this.#held + 1;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, encoding, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
