/**
 * A stand-in for OpenSSH on Windows: a server of ssh2 that hands each command to `answer`, as to a login shell, and files to the SFTP server of this machine
 * in a folder that stands for the user's own.
 */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';

export type Answer = { readonly out: string; readonly err?: string; readonly code: number };
export type WindowsSshd = AsyncDisposable & { readonly port: number };

/** Whoever comes is let in where `password` is left out. */
export async function openWindowsSshd(options: { answer(command: string): Answer | Promise<Answer>; address?: string; home?: string; password?: string }): Promise<WindowsSshd> {
  const { answer, address = '127.0.0.1', home, password } = options;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs1', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    clients.add(client);
    client.on('error', () => {});
    client.on('authentication', (context) => (password === undefined || (context.method === 'password' && context.password === password) ? context.accept() : context.reject(['password'])));
    client.on('session', (accept) => {
      const session = accept();
      session.on('exec', (accepted, _reject, { command }) => {
        const channel = accepted();
        void Promise.resolve(answer(command)).then(({ out, err = '', code }) => {
          channel.write(out);
          channel.stderr.write(err);
          channel.exit(code);
          channel.end();
        });
      });
      session.on('subsystem', (accepted, reject, { name }) => {
        if (name !== 'sftp' || home === undefined) return reject();
        const channel = accepted();
        const child = spawn('/usr/lib/openssh/sftp-server', ['-d', home], { stdio: ['pipe', 'pipe', 'ignore'] });
        channel.pipe(child.stdin);
        child.stdout.pipe(channel);
        child.once('exit', () => channel.end());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
