/** What tests use of the package, which brings no types. */
declare module 'smtp-server' {
  import type { Readable } from 'node:stream';
  export class SMTPServer {
    constructor(options: {
      secure?: boolean;
      key?: string;
      cert?: string;
      authOptional?: boolean;
      disabledCommands?: string[];
      logger?: boolean;
      onAuth?(auth: { username?: string; password?: string }, session: { secure: boolean }, done: (error: Error | null, user?: { user: string }) => void): void;
      onRcptTo?(address: { address: string }, session: object, done: (error?: Error) => void): void;
      onData?(stream: Readable, session: object, done: (error: Error | null, message?: string) => void): void;
    });
    listen(port: number, host: string, done: () => void): void;
    close(done: () => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    readonly server: { address(): { port: number } };
  }
}
