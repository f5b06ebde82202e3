/**
 * Asks one name server, so that what it says is its own (docs/design/dns.md, "The wire").
 *
 *   UDP ──nothing for 1 s──▶ UDP again ──nothing──▶ silent
 *    │
 *    ├──cut short──▶ TCP ──answer──▶ found        ──nothing, refused──▶ silent, cut short
 *    │
 *    └──answer──▶ found, or silent with the code of a name server that refuses or fails
 *
 * A name server that leaves five questions in a row unanswered is dead, and is asked nothing more.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { deadlinePassed } from '../base/failures.ts';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { decodeResponse, encodeQuestion, nameOfCode, recordTypes, type DnsQuestion, type DnsResponse } from '../domain/dns-message.ts';
import { isSame, type NameAnswer } from '../domain/name-answers.ts';
import type { ServerState } from '../domain/own-names.ts';

export type NameServerAddress = { readonly address: string; readonly port: number };

export type NameServer = {
  readonly name: string;
  /** Whether it answers anything at all; asked before the rest. */
  greet(signal?: AbortSignal): Promise<boolean>;
  /** Undefined where it is not asked any more. */
  ask(question: DnsQuestion, signal?: AbortSignal): Promise<NameAnswer | undefined>;
  state(): ServerState;
};

const questionMs = 3_000;
const againMs = 1_000;
const mostSilent = 5;
const longest = 65_535;

export function openNameServer(at: NameServerAddress, options: { questionMs?: number } = {}): NameServer {
  const ms = options.questionMs ?? questionMs;
  const name = at.port === 53 ? at.address : isIPv6(at.address) ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
  let silentInRow = 0;
  let why: string | null = null;
  let isCutShort = false;

  async function askOnce(question: DnsQuestion, signal?: AbortSignal): Promise<NameAnswer> {
    const message = encodeQuestion(randomInt(65_536), question);
    if (message === undefined) return { kind: 'silent', why: 'it is no name that could be asked for' };
    let response: DnsResponse;
    try {
      response = await withDeadline('an answer', ms, async (ends) => await overUdp(at, message, question, ends), signal);
      silentInRow = 0;
    } catch (error) {
      signal?.throwIfAborted();
      silentInRow++;
      return { kind: 'silent', why: wordsOf(error as Error, ms) };
    }
    if (response.isCutShort) {
      try {
        response = await withDeadline('an answer over TCP', ms, async (ends) => await overTcp(at, message, question, ends), signal);
      } catch (error) {
        signal?.throwIfAborted();
        isCutShort = true;
        why = wordsOf(error as Error, ms);
        return { kind: 'silent', why: `its answer is too long for a datagram, and over TCP ${why}` };
      }
    }
    return answerOf(response, question);
  }

  return {
    name,
    async greet(signal) {
      const answer = await askOnce({ name: 'localhost', type: 'A' }, signal);
      if (silentInRow === 0 || answer.kind === 'found') return true;
      silentInRow = mostSilent;
      why = answer.why;
      return false;
    },
    async ask(question, signal) {
      if (silentInRow >= mostSilent) return undefined;
      const answer = await askOnce(question, signal);
      if (silentInRow >= mostSilent && answer.kind === 'silent') why = answer.why;
      return answer;
    },
    state: () => ({ server: name, address: at.address, why, isCutShort }),
  };
}

/** What it said of the one type that was asked for, at the end of whatever chain of other names. */
function answerOf({ code, answers }: DnsResponse, { type }: DnsQuestion): NameAnswer {
  const nameError = 3;
  if (code !== 0 && code !== nameError) return { kind: 'silent', why: nameOfCode(code) };
  const wanted = answers.filter((record) => record.type === type);
  const ttls = answers.map(({ ttlSeconds }) => ttlSeconds);
  return { kind: 'found', values: wanted.map(({ value }) => value), ttlSeconds: ttls.length === 0 ? null : Math.min(...ttls) };
}

function isAnswerTo(response: DnsResponse | undefined, message: Uint8Array, { name, type }: DnsQuestion): response is DnsResponse {
  if (response === undefined || response.id !== message[0]! * 256 + message[1]!) return false;
  return response.question !== undefined && response.question.type === recordTypes[type] && isSame(response.question.name, name);
}

async function overUdp({ address, port }: NameServerAddress, message: Uint8Array, question: DnsQuestion, ends: AbortSignal): Promise<DnsResponse> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  let again: NodeJS.Timeout | undefined;
  try {
    return await new Promise<DnsResponse>((resolve, reject) => {
      ends.addEventListener('abort', () => reject(ends.reason as Error), { once: true });
      socket.on('error', reject);
      // What is not an answer to this question is somebody else's, and the answer may still come.
      socket.on('message', (bytes) => {
        if (bytes[0] !== message[0] || bytes[1] !== message[1]) return;
        const response = decodeResponse(bytes);
        if (isAnswerTo(response, message, question)) resolve(response);
      });
      // Connected: only this name server is heard, and the kernel hands over what ICMP says of the port.
      socket.connect(port, address, () => {
        const send = (): void => socket.send(message, (error) => void (error && reject(error)));
        send();
        again = setTimeout(send, againMs);
      });
    });
  } finally {
    clearTimeout(again);
    socket.close();
  }
}

async function overTcp({ address, port }: NameServerAddress, message: Uint8Array, question: DnsQuestion, ends: AbortSignal): Promise<DnsResponse> {
  const socket = connect({ host: address, port });
  try {
    return await new Promise<DnsResponse>((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      ends.addEventListener('abort', () => reject(ends.reason as Error), { once: true });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the connection was closed')));
      socket.on('connect', () => socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message])));
      socket.on('data', (part: Buffer) => {
        bytes = Buffer.concat([bytes, part]);
        const length = bytes.length < 2 ? longest : bytes.readUInt16BE(0);
        if (bytes.length < 2 + length) return;
        const response = decodeResponse(bytes.subarray(2, 2 + length));
        if (isAnswerTo(response, message, question) && !response.isCutShort) resolve(response);
        else reject(new Error('what it says is no answer to the question'));
      });
    });
  } finally {
    socket.destroy();
  }
}

function wordsOf(error: Error, ms: number): string {
  if (isFailure(error, deadlinePassed)) return `no answer within ${ms / 1000} s`;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'nothing listens there';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'no way leads there';
  return error.message;
}
