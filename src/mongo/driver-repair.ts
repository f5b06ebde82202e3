/**
 * mongodb 7.9.0 waits for ever when a connection is closed just before, or while, a command is written to it: a socket
 * that was destroyed answers `write` with false, and the 'drain' that `writeCommand` (lib/cmap/connection.js) then waits
 * for never comes; no time-out of the driver looks at it, and `MongoClient.close` hangs in the same way, in the endSessions
 * it sends. So the end of the socket ends the write, with the network error that the driver expects of it.
 *
 * And where the server is gone when a client is closed, endSessions waits for another one as long as every command does
 * (10 s). It is a courtesy: the server forgets sessions by itself. So it gets a moment, and then what it waits for is closed.
 */
import { MongoClient, MongoNetworkError } from 'mongodb';
import { Connection } from 'mongodb/lib/cmap/connection.js';

const write = Connection.prototype.writeCommand;

Connection.prototype.writeCommand = async function writeOrFail(this: Connection, command, options) {
  const { socket } = this;
  const closed = Promise.withResolvers<never>();
  const onClose = (): void => closed.reject(this.error ?? new MongoNetworkError('the connection was closed before the command was written'));
  if (socket.destroyed) onClose();
  else socket.once('close', onClose);
  try {
    await Promise.race([closed.promise, write.call(this, command, options)]);
  } finally {
    socket.off('close', onClose);
  }
};

const courtesyMs = 250;
const close = MongoClient.prototype.close;

MongoClient.prototype.close = async function closeSoon(this: MongoClient & { topology?: { close(): void } }, force?: boolean) {
  const { topology } = this;
  const timer = setTimeout(() => topology?.close(), courtesyMs);
  try {
    await close.call(this, force);
  } finally {
    clearTimeout(timer);
  }
};
