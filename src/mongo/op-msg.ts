/**
 * One connection to a mongod of our own, for commands whose documents are sent as the bytes they are.
 *
 * OP_MSG (all integers little-endian):
 *
 *   int32 length of all | int32 request id | int32 response to | int32 2013 | uint32 flags 0
 *   byte 0 | the command as one BSON document, with $db
 *   byte 1 | int32 size of this section | field name, 0 | BSON documents one after another        (optional)
 *
 * The second section stands for an array field of the command, so an insert's documents are never decoded. One command
 * at a time; no sign-in, no TLS, no retry: mongod listens on a private socket and every error ends the work.
 */
import { connect, type Socket } from 'node:net';
import { BSON, type Document } from 'mongodb';
import { commandFailed, sourceLost } from './failures.ts';

export type OpMsg = AsyncDisposable & {
  /** Answers the reply; `ok: 0` is a failure. `command` is a document or its bytes; `$db` is part of it. */
  run(command: Document | Uint8Array, sequence?: DocumentSequence): Promise<Document>;
  close(): Promise<void>;
};

export type DocumentSequence = { readonly field: string; readonly documents: readonly Uint8Array[] };

const OP_MSG = 2013;
/** mongod refuses larger messages. */
export const messageBytes = 48_000_000;

type Waiting = { readonly resolve: (reply: Document) => void; readonly reject: (error: Error) => void };

export async function openOpMsg(path: string): Promise<OpMsg> {
  const socket = await connected(path);
  let waiting: Waiting | undefined;
  let lost: Error | undefined;
  let received: Buffer[] = [];
  let size = 0;
  let requests = 0;
  const end = (why: string): void => {
    lost ??= sourceLost({ address: path, why });
    waiting?.reject(lost);
    waiting = undefined;
  };
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('the connection was closed'));
  socket.on('data', (piece) => {
    received.push(piece);
    size += piece.length;
    if (size < 4 || size < wholeSize(received)) return;
    const message = Buffer.concat(received, size);
    received = [];
    size = 0;
    const asked = waiting;
    waiting = undefined;
    asked?.resolve(BSON.deserialize(message.subarray(21, message.readInt32LE(0)), { promoteLongs: true }));
  });
  const run: OpMsg['run'] = async (command, sequence) => {
    if (lost !== undefined) throw lost;
    if (waiting !== undefined) throw new Error('one command at a time');
    const body = command instanceof Uint8Array ? command : BSON.serialize(command, { ignoreUndefined: true });
    const reply = await new Promise<Document>((resolve, reject) => {
      waiting = { resolve, reject };
      for (const part of messageOf(++requests, body, sequence)) socket.write(part);
    });
    if (reply['ok'] === 1) return reply;
    throw commandFailed({
      address: path,
      command: commandName(body),
      why: `${String(reply['errmsg'])} (${String(reply['codeName'] ?? reply['code'])})`,
    });
  };
  const close = async (): Promise<void> => {
    if (socket.destroyed) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await closed;
  };
  return { run, close, [Symbol.asyncDispose]: close };
}

async function connected(path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => reject(sourceLost({ address: path, why: error.message }, error)));
  });
}

function wholeSize(pieces: Buffer[]): number {
  if (pieces[0]!.length < 4) pieces.splice(0, pieces.length, Buffer.concat(pieces));
  return pieces[0]!.readInt32LE(0);
}

function messageOf(request: number, body: Uint8Array, sequence: DocumentSequence | undefined): Uint8Array[] {
  const header = Buffer.alloc(21);
  header.writeInt32LE(request, 4);
  header.writeInt32LE(OP_MSG, 12);
  if (sequence === undefined) {
    header.writeInt32LE(21 + body.length, 0);
    return [header, body];
  }
  const name = Buffer.from(`${sequence.field}\0`);
  const documents = sequence.documents.reduce((sum, part) => sum + part.length, 0);
  const section = Buffer.alloc(5);
  section[0] = 1;
  section.writeInt32LE(4 + name.length + documents, 1);
  header.writeInt32LE(21 + body.length + 5 + name.length + documents, 0);
  return [header, body, section, name, ...sequence.documents];
}

function commandName(body: Uint8Array): string {
  const from = 5;
  return Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8', from, body.indexOf(0, from));
}
