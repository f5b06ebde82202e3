/**
 * SSH whose other end is Windows. The sshd is a stand-in, a server of ssh2 that answers as OpenSSH with cmd.exe or PowerShell does; nothing of it
 * ever ran on Windows. How a shell is told is asked of Wine's cmd in windows-repository.test.ts.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { openShell } from '../../src/ssh/shell.ts';
import { systemQuestion } from '../../src/ssh/windows-shell.ts';

type Answer = { readonly out: string; readonly err: string; readonly code: number };

/** Each command goes to `answer`, as to a login shell. */
async function openSshd(answer: (command: string) => Answer): Promise<{ port: number } & AsyncDisposable> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs1', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
    clients.add(client);
    client.on('error', () => {});
    client.on('authentication', (context) => context.accept());
    client.on('session', (accept) => {
      accept().on('exec', (accepted, _reject, { command }) => {
        const channel = accepted();
        const { out, err, code } = answer(command);
        channel.write(out);
        channel.stderr.write(err);
        channel.exit(code);
        channel.end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const shells: [string, (command: string) => Answer][] = [
  ['cmd.exe', (command) => (command === systemQuestion ? { out: 'Windows_NT+$env:OS\r\n', err: '', code: 0 } : { out: '', err: "'exec' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n", code: 1 })],
  ['PowerShell', (command) => (command === systemQuestion ? { out: '%OS%+Windows_NT\r\n', err: '', code: 0 } : { out: '', err: 'exec : Die Benennung "exec" wurde nicht als Name eines Cmdlet erkannt.\r\n', code: 1 })],
];

for (const [name, answer] of shells) {
  test(`a host whose shell is ${name} is said to run Windows, with the ways that there are onto it`, async () => {
    await using sshd = await openSshd(answer);
    const opened = openShell({ host: '127.0.0.1', credential: { user: 'Administrator', port: sshd.port, signIn: { kind: 'password', password: 'x' }, elevation: { kind: 'none' } }, hostKey: { recorded: null, unknown: 'admit' } });
    await assert.rejects(opened, (error: Error & { code: string; hint: string }) => error.code === 'ssh.host-runs-windows' && error.message.includes(`its shell is ${name}`) && error.hint.includes('credential for Windows'));
  });
}

test('a shell that runs nothing and is none of Windows is what it was', async () => {
  await using sshd = await openSshd(() => ({ out: '', err: 'This account is not available.\n', code: 1 }));
  const opened = openShell({ host: '127.0.0.1', credential: { user: 'nobody', port: sshd.port, signIn: { kind: 'password', password: 'x' }, elevation: { kind: 'none' } }, hostKey: { recorded: null, unknown: 'admit' } });
  await assert.rejects(opened, (error: Error & { code: string }) => error.code === 'ssh.shell-unusable' && error.message.includes('not available'));
});
