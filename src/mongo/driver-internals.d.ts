/** What of mongodb 7.9.0's inside `driver-repair.ts` and `raw-insert.ts` touch; the package types only its surface. */
declare module 'mongodb/lib/cmap/connection.js' {
  import type { Socket } from 'node:net';

  export class Connection {
    readonly socket: Socket;
    readonly error: Error | null;
    /** Resolves when the command is in the kernel's hands. */
    writeCommand(command: unknown, options: unknown): Promise<void>;
  }
}

declare module 'mongodb/lib/cmap/commands.js' {
  import type { Document } from 'mongodb';

  export class DocumentSequence {
    constructor(field: string);
    push(document: Document, bytes: Uint8Array): number;
  }
}
