/**
 * Whether it is Windows that answered: OpenSSH there hands a command to cmd.exe, or to PowerShell where an administrator has set that.
 * One line that each shell reads in its own way; what Windows says in other languages does not matter.
 */
import type { Client } from 'ssh2';
import { withDeadline } from '../base/deadline.ts';

export type WindowsShell = 'cmd.exe' | 'PowerShell';

export const systemQuestion = 'echo %OS%+$env:OS';

const mostBytes = 4096;

/** A shell of Unix makes `%OS%+:OS` of it. PowerShell may put a mark of its encoding before it. */
export function windowsShellIn(answer: string): WindowsShell | undefined {
  const line = answer.replace(/^\ufeff/, '').trim();
  return line === 'Windows_NT+$env:OS' ? 'cmd.exe' : line === '%OS%+Windows_NT' ? 'PowerShell' : undefined;
}

/** Undefined, too, where nothing is answered in time: then what was met before is what is told. */
export async function askForWindows(client: Client, deadlineMs: number, signal?: AbortSignal): Promise<WindowsShell | undefined> {
  const answered = withDeadline('the shell to tell its system', deadlineMs, async (ends) =>
    await new Promise<string>((resolve, reject) => {
      client.exec(systemQuestion, (error, channel) => {
        if (error !== undefined) return reject(error);
        let text = '';
        ends.addEventListener('abort', () => channel.close(), { once: true });
        channel.on('data', (bytes: Buffer) => void (text = (text + bytes.toString('utf8')).slice(0, mostBytes)));
        channel.stderr.resume();
        channel.on('error', reject);
        channel.on('close', () => resolve(text));
      });
    }), signal);
  return windowsShellIn(await answered.catch(() => ''));
}
