/**
 * A mongod that ends its work at the first command of a given name:
 *
 *   blocked   that command is never answered, as where its files cannot be read; all else is
 *   stopped   nothing is answered any more, and its connections stay, as under SIGSTOP
 *   gone      its connections end, and it takes no new ones
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON } from 'mongodb';

export type SilentMongod = AsyncDisposable & {
  readonly socket: string;
  /** Resolves when that command came. */
  readonly isSilent: Promise<void>;
  /** How often that command came. */
  asked(): number;
};

const [opReply, opQuery, opMsg] = [1, 2004, 2013] as const;
const hello = { ok: 1, helloOk: true, isWritablePrimary: true, ismaster: true, maxBsonObjectSize: 16 << 20, maxMessageSizeBytes: 48_000_000, maxWriteBatchSize: 100_000, minWireVersion: 0, maxWireVersion: 17, logicalSessionTimeoutMinutes: 30 };

export async function openSilentMongod(command: string, how: 'blocked' | 'stopped' | 'gone'): Promise<SilentMongod> {
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
        const isIt = Object.keys(documentIn(message))[0] === command;
        if (isIt) {
          asked += 1;
          silent.resolve();
          if (how === 'gone') leave();
        }
        if (how === 'blocked' ? !isIt : asked === 0) connection.write(replyTo(message));
      }
    });
  });
  const leave = (): void => {
    server.close();
    for (const connection of connections) connection.destroy();
  };
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
  return {
    socket,
    isSilent: silent.promise,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      const closed = server.listening ? once(server, 'close') : undefined;
      leave();
      await closed;
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
