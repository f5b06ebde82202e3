/**
 * A line to one interface of a Windows host over TCP, with packet privacy or, for the endpoint mapper alone, without.
 *
 *   connecting ──bind──▶ challenged ──auth3──▶ open ──call / answer──▶ open ──▶ closed
 *                           └── a no, a wrong signature, a malformed answer, a deadline ──▶ closed
 *
 * One call at a time. A line that met anything it did not expect is closed, and never used again: after a lost answer nobody knows
 * what the counts of the seals are. A wrong password is sent once; Windows tells it in the answer to the first call.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { answerForged, answerUnusable, portNotReached, signInRefused } from './failures.ts';
import { Malformed, NdrReader } from './ndr.ts';
import { authenticate, negotiateMessage, openSealing, readChallenge, type Account, type Sealing } from './ntlm.ts';
import { bindBody, faultStatus, fragmentLength, headerBytes, kind, mostAnswerBytes, mostFragmentBytes, readBindAck, readFragment, requestBody, stubStart, trailerBytes, writeFragment, type Fragment, type Interface } from './pdu.ts';

export type RpcPlace = { readonly host: string; readonly port: number; readonly to: Interface; /** Who signs in; without one nothing is signed or sealed. */ readonly account?: Account; readonly deadlineMs?: number; readonly signal?: AbortSignal };
export type Rpc = { call<T>(what: string, opnum: number, stub: Buffer, read: (answer: NdrReader) => T): Promise<T>; close(): void; [Symbol.dispose](): void };

const usualDeadlineMs = 15_000;
const signatureBytes = 16;
/** Of faults: access denied by RPC, by Windows, and a proof that is not right. */
const refusals: Readonly<Record<number, string>> = { 0x5: 'access denied', 0x1c01000b: 'access denied', 0x721: 'a security package error, most likely a wrong password', 0x52e: 'wrong user or password' };
const nakReasons: Readonly<Record<number, string>> = { 1: 'it has no time now', 4: 'the version is not supported', 8: 'it takes no NTLM, or not this user and password', 9: 'wrong proof' };

export async function openRpc(place: RpcPlace): Promise<Rpc> {
  const { host, port, to, account, deadlineMs = usualDeadlineMs, signal } = place;
  const socket = await reach(place, deadlineMs);
  const fragments = fragmentsOf(socket);
  let sealing: Sealing | undefined;
  let isClosed = false;
  let calls = 1;
  const close = (): void => {
    isClosed = true;
    socket.destroy();
  };
  const next = async (): Promise<Fragment> => {
    const { value, done } = await fragments.next();
    if (done === true) throw portNotReached({ host, port, why: 'the connection ended before an answer came' });
    if (value.call !== calls) throw new Malformed(`an answer to call ${value.call}, and ${calls} was made`);
    return value;
  };
  const guarded = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await withDeadline(`${host} to answer ${what}`, deadlineMs, async (ends) => {
        const stop = (): void => void socket.destroy();
        ends.addEventListener('abort', stop, { once: true });
        return await work().finally(() => ends.removeEventListener('abort', stop));
      }, signal);
    } catch (error) {
      close();
      throw error instanceof Malformed ? answerUnusable({ host, what, why: error.message }, error) : isFailure(error) ? error : portNotReached({ host, port, why: (error as Error).message }, error);
    }
  };
  const refuse = (what: string, status: number): Error => {
    const why = refusals[status];
    const number = `0x${status.toString(16).padStart(8, '0')}`;
    if (account !== undefined && why !== undefined) return signInRefused({ host, user: account.user, why: `${why} (${number})` });
    return answerUnusable({ host, what, why: `RPC fault ${number}` });
  };
  const opened = (what: string, fragment: Fragment): Buffer => {
    if (sealing === undefined) return fragment.body.subarray(stubStart);
    const { body, bytes, proof } = fragment;
    const head = bytes.subarray(0, headerBytes + stubStart);
    const tail = bytes.subarray(headerBytes + body.length, bytes.length - signatureBytes);
    const clear = proof?.length === signatureBytes ? sealing.open(body.subarray(stubStart), proof, (part) => Buffer.concat([head, part, tail])) : undefined;
    if (clear === undefined) throw answerForged({ host, what });
    return clear.subarray(0, clear.length - fragment.padding);
  };

  await guarded('a bind', async () => {
    const negotiate = account === undefined ? undefined : negotiateMessage();
    socket.write(writeFragment(kind.bind, calls, bindBody(to), negotiate && { padding: 0, value: negotiate }));
    const ack = await next();
    if (ack.kind === kind.bindNak) throw bindRefused(place, ack.body);
    if (ack.kind === kind.fault) throw refuse('a bind', faultStatus(ack.body));
    if (ack.kind !== kind.bindAck) throw new Malformed(`a message of kind ${ack.kind}`);
    readBindAck(ack.body);
    if (account === undefined || negotiate === undefined) return;
    if (ack.proof === undefined) throw new Malformed('it took the bind without a challenge');
    const chance = { clientChallenge: randomBytes(8), exportedKey: randomBytes(16) };
    const { message, exportedKey } = authenticate(account, negotiate, readChallenge(ack.proof), { target: `host/${host}`, nowMs: systemClock.now(), chance });
    socket.write(writeFragment(kind.auth3, calls, Buffer.alloc(4), { padding: 0, value: message }));
    sealing = openSealing(exportedKey);
  });

  return {
    async call(what, opnum, stub, read) {
      if (isClosed) throw portNotReached({ host, port, why: 'the line is closed' });
      return await guarded(what, async () => {
        calls++;
        socket.write(requestOf(calls, opnum, stub, sealing));
        let answer = Buffer.alloc(0);
        for (;;) {
          const fragment = await next();
          // A fault may come without a seal, as from a server that does not know whom it talks to. It can only refuse.
          if (fragment.kind === kind.fault) throw refuse(what, faultStatus(fragment.body));
          if (fragment.kind !== kind.response || fragment.body.length < stubStart) throw new Malformed(`a message of kind ${fragment.kind}`);
          answer = Buffer.concat([answer, opened(what, fragment)]);
          if (answer.length > mostAnswerBytes) throw new Malformed(`more than ${mostAnswerBytes} bytes`);
          if (fragment.isLast) return read(new NdrReader(answer));
        }
      });
    },
    close,
    [Symbol.dispose]: close,
  };
}

function requestOf(call: number, opnum: number, stub: Buffer, sealing: Sealing | undefined): Buffer {
  if (sealing === undefined) return writeFragment(kind.request, call, requestBody(opnum, stub));
  const padding = (16 - (stub.length % 16)) % 16;
  const body = requestBody(opnum, Buffer.concat([stub, Buffer.alloc(padding)]));
  body.writeUInt32LE(stub.length, 0);
  const clear = writeFragment(kind.request, call, body, { padding, value: Buffer.alloc(signatureBytes) });
  if (clear.length > mostFragmentBytes) throw new Error(`a call of ${stub.length} bytes does not fit into one fragment`);
  const { sealed, signature } = sealing.seal(clear.subarray(0, clear.length - signatureBytes), body.subarray(stubStart));
  return Buffer.concat([clear.subarray(0, headerBytes + stubStart), sealed, clear.subarray(headerBytes + body.length, headerBytes + body.length + trailerBytes), signature]);
}

function bindRefused({ host, account }: RpcPlace, body: Buffer): Error {
  const reason = new NdrReader(body).u16();
  const why = `the bind was refused: ${nakReasons[reason] ?? `reason ${reason}`}`;
  return account === undefined ? answerUnusable({ host, what: 'a bind', why }) : signInRefused({ host, user: account.user, why });
}

async function reach({ host, port, signal }: RpcPlace, deadlineMs: number): Promise<Socket> {
  return await withDeadline(`a connection to ${host} on port ${port}`, deadlineMs, async (ends) =>
    await new Promise<Socket>((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      ends.addEventListener('abort', () => socket.destroy(), { once: true });
      socket.once('error', (error) => reject(portNotReached({ host, port, why: error.message }, error)));
      socket.once('connect', () => resolve(socket));
    }), signal).catch((error: unknown) => {
    throw isFailure(error, { code: 'base.deadline-passed' }) ? portNotReached({ host, port, why: 'nothing answered' }, error) : error;
  });
}

async function* fragmentsOf(socket: Socket): AsyncGenerator<Fragment, void> {
  let held = Buffer.alloc(0);
  for await (const part of socket as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, part]);
    for (let length = fragmentLength(held); length !== undefined && held.length >= length; length = fragmentLength(held)) {
      const fragment = readFragment(Buffer.from(held.subarray(0, length)));
      held = held.subarray(length);
      yield fragment;
    }
  }
}
