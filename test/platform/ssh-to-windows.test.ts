/**
 * SSH whose other end is Windows. The sshd is a stand-in (test/kit/windows-sshd.ts): nothing of it ever ran on Windows. How a shell is told is asked of
 * Wine's cmd in windows-repository.test.ts, where Wine runs what is put there, too.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostCredential } from '../../src/contract/credentials.ts';
import { openShell } from '../../src/ssh/shell.ts';
import { openWindowsHost } from '../../src/ssh/windows-host.ts';
import { systemQuestion } from '../../src/ssh/windows-shell.ts';
import { deployWindowsOverSsh } from '../../src/server/windows-over-ssh.ts';
import { openWindowsSshd, type Answer } from '../kit/windows-sshd.ts';

const password = 'a password of an administrator';
const account = (port: number): HostCredential => ({ user: 'Administrator', port, signIn: { kind: 'password', password }, elevation: { kind: 'none' } });
const hostKey = { recorded: null, unknown: 'admit' } as const;

const shells: [string, (command: string) => Answer][] = [
  ['cmd.exe', (command) => (command === systemQuestion ? { out: 'Windows_NT+$env:OS\r\n', code: 0 } : { out: '', err: "'exec' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n", code: 1 })],
  ['PowerShell', (command) => (command === systemQuestion ? { out: '%OS%+Windows_NT\r\n', code: 0 } : { out: '', err: 'exec : Die Benennung "exec" wurde nicht als Name eines Cmdlet erkannt.\r\n', code: 1 })],
];

for (const [name, answer] of shells) {
  test(`a host whose shell is ${name} is said to run Windows, with the ways that there are onto it`, async () => {
    await using sshd = await openWindowsSshd({ answer });
    const opened = openShell({ host: '127.0.0.1', credential: account(sshd.port), hostKey });
    await assert.rejects(opened, (error: Error & { code: string; hint: string }) => error.code === 'ssh.host-runs-windows' && error.message.includes(`its shell is ${name}`) && error.hint.includes('credential for Windows'));
  });
}

test('a shell that runs nothing and is none of Windows is what it was', async () => {
  await using sshd = await openWindowsSshd({ answer: () => ({ out: '', err: 'This account is not available.\n', code: 1 }) });
  const opened = openShell({ host: '127.0.0.1', credential: account(sshd.port), hostKey });
  await assert.rejects(opened, (error: Error & { code: string }) => error.code === 'ssh.shell-unusable' && error.message.includes('not available'));
});

/** The administrator's own folder, and what install.cmd met there. */
async function contact(answer: (folder: string) => Answer, isHealthy = true) {
  const home = mkdtempSync(join(tmpdir(), 'tm-windows-home-'));
  const met: { command: string; files: Record<string, string> }[] = [];
  const said: string[] = [];
  try {
    await using sshd = await openWindowsSshd({ home, password, answer: (command) => {
      const folder = /^cmd\.exe \/d \/c (tidemark-[0-9a-f]{32})\\install\.cmd$/.exec(command)?.[1];
      if (folder === undefined) return { out: '', err: 'not a command of these tests', code: 9 };
      met.push({ command, files: Object.fromEntries(readdirSync(join(home, folder)).map((name) => [name, readFileSync(join(home, folder, name), 'utf8')])) });
      return answer(join(home, folder));
    } });
    const file = join(home, 'tidemark-deployer-1.0.0-windows-x64.msi');
    writeFileSync(file, 'a package');
    const made = deployWindowsOverSsh({
      host: 'win', package: file, program: '@echo off\r\n', kit: { token: 'a token' } as never, healthy: async () => await Promise.resolve(isHealthy ? true : 'no link'), say: (step, text) => void said.push(`${step}: ${text}`), signal: AbortSignal.timeout(20_000),
      open: async (signal) => await openWindowsHost({ host: '127.0.0.1', credential: account(sshd.port), hostKey, signal }),
    });
    const outcome = await made.then(() => undefined, (error: Error & { code: string }) => error);
    return { outcome, met, said, left: readdirSync(home).filter((name) => name.startsWith('tidemark-') && !name.endsWith('.msi')) };
  } finally {
    rmSync(home, { recursive: true });
  }
}

test('package, program and kit are put into a folder that nobody can know before, the program is run, and the folder is gone', async () => {
  const { outcome, met, said, left } = await contact((folder) => {
    rmSync(join(folder, 'kit.json'));
    return { out: 'tidemark-deployer 1.0.0 is installed\r\n', code: 0 };
  });
  assert.equal(outcome, undefined);
  assert.deepEqual(met.map(({ files }) => files), [{ 'tidemark-deployer-1.0.0-windows-x64.msi': 'a package', 'install.cmd': '@echo off\r\n', 'kit.json': '{"token":"a token"}' }]);
  assert.deepEqual(left, []);
  assert.ok(said.includes('install: tidemark-deployer 1.0.0 is installed'));
  assert.ok(!said.join().includes('a token'));
});

test('a program that fails ends the contact with its last words, the token is taken away, and no word repeats the password', async () => {
  const { outcome, left } = await contact((folder) => {
    assert.ok(existsSync(join(folder, 'kit.json')));
    return { out: `Windows Installer did not install the deployer, says ${password}\r\n`, code: 1 };
  });
  assert.equal(outcome?.code, 'server.deployment-failed');
  assert.match(outcome!.message, /failed at "install".*exit code 1.*did not install the deployer/);
  assert.ok(!outcome!.message.includes(password));
  assert.deepEqual(left, []);
});
