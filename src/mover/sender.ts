/**
 * Writes to a TLS socket, one at a time.
 *
 * Node gathers what waits in a socket into one buffer of its own before it encrypts: a copy and an allocation for every
 * message. A write that has the socket for itself is encrypted from where it lies.
 */
import type { TLSSocket } from 'node:tls';

export type Sender = {
  /** The bytes must stay as they are until they are written. */
  send(...buffers: Uint8Array[]): void;
  /** Resolves when little waits, or the socket is gone. */
  room(): Promise<void>;
};

const littleBytes = 1 << 20;

export function openSender(socket: TLSSocket): Sender {
  const queue: Uint8Array[] = [];
  let waitingBytes = 0;
  let isWriting = false;
  const waiters: (() => void)[] = [];

  const wake = (): void => {
    if (waitingBytes > littleBytes && !socket.destroyed) return;
    for (const waiter of waiters.splice(0)) waiter();
  };
  const next = (): void => {
    const buffer = queue.shift();
    if (buffer === undefined || socket.destroyed) return;
    isWriting = true;
    socket.write(buffer, () => {
      isWriting = false;
      waitingBytes -= buffer.length;
      wake();
      next();
    });
  };
  socket.once('close', () => {
    queue.length = 0;
    for (const waiter of waiters.splice(0)) waiter();
  });
  return {
    send(...buffers) {
      for (const buffer of buffers) {
        if (buffer.length === 0) continue;
        queue.push(buffer);
        waitingBytes += buffer.length;
      }
      if (!isWriting) next();
    },
    async room() {
      if (waitingBytes <= littleBytes || socket.destroyed) return;
      await new Promise<void>((resolve) => waiters.push(resolve));
    },
  };
}
