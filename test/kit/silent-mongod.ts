/** What a mongod is that was stopped in the middle of its work: it says hello, and from the first command of a given name on nothing, while its connections stay. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON } from 'mongodb';

export type SilentMongod = AsyncDisposable & {
  readonly socket: string;
  /** Resolves with the command that silences it. */
  readonly isSilent: Promise<void>;
  /** How often that command came. */
  asked(): number;
};

const [opReply, opQuery, opMsg] = [1, 2004, 2013] as const;
const hello = { ok: 1, helloOk: true, isWritablePrimary: true, ismaster: true, maxBsonObjectSize: 16 << 20, maxMessageSizeBytes: 48_000_000, maxWriteBatchSize: 100_000, minWireVersion: 0, maxWireVersion: 17, logicalSessionTimeoutMinutes: 30 };

export async function openSilentMongod(command: string): Promise<SilentMongod> {
  const directory = mkdtempSync(join(tmpdir(), 'tm-silent-'));
  const socket = join(directory, 'mongod.sock');
  const connections = new Set<Socket>();
  const silent = Promise.withResolvers<void>();
  let asked = 0;
  const server = createServer((connection) => {
    connections.add(connection.on('error', () => {}));
    let held = Buffer.alloc(0);
    connection.on('data', (bytes) => {
      held = Buffer.concat([held, bytes]);
      while (held.length >= 4 && held.length >= held.readInt32LE(0)) {
        const message = held.subarray(0, held.readInt32LE(0));
        held = held.subarray(message.length);
        if (Object.keys(documentIn(message))[0] === command) {
          asked += 1;
          silent.resolve();
        }
        if (asked === 0) connection.write(replyTo(message));
      }
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
  return {
    socket,
    isSilent: silent.promise,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Behind the header: flags, then in OP_QUERY a name and two numbers, in OP_MSG the kind of the section. */
function documentIn(message: Buffer): BSON.Document {
  const start = message.readInt32LE(12) === opQuery ? message.indexOf(0, 20) + 9 : 21;
  return BSON.deserialize(message.subarray(start, start + message.readInt32LE(start)));
}

function replyTo(message: Buffer): Buffer {
  const isQuery = message.readInt32LE(12) === opQuery;
  const body = BSON.serialize(hello);
  const before = Buffer.alloc(isQuery ? 36 : 21);
  before.writeInt32LE(before.length + body.length, 0);
  before.writeInt32LE(message.readInt32LE(4), 8);
  before.writeInt32LE(isQuery ? opReply : opMsg, 12);
  if (isQuery) before.writeInt32LE(1, 32);
  return Buffer.concat([before, body]);
}
