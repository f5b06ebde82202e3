/**
 * A Windows host over SSH: commands of cmd.exe, and files in a folder that is made for them in the own folder of the user who signed in, which
 * other users of the host cannot enter. Nothing that either shell would read in its own way may stand in a command.
 */
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { closeConnection, connectTo, type ConnectOptions } from './connect.ts';
import { commandFailed, connectionLost } from './failures.ts';
import type { HostKey } from './host-key.ts';
import { wordsOf } from './words.ts';

export type WindowsFile = { readonly name: string; readonly content: { readonly file: string } | { readonly text: string } };
type Limits = { readonly deadlineMs: number; readonly signal?: AbortSignal };

export type WindowsHost = AsyncDisposable & {
  readonly hostKey: HostKey;
  /** Runs `FOLDER\PROGRAM` to its end; fails unless that is 0, with the last it said. Answers what it printed, 4 KiB at most. */
  run(folder: string, program: string, limits: Limits): Promise<string>;
  /** Makes a folder, which must not be there, and puts files into it. */
  put(folder: string, files: readonly WindowsFile[], limits: Limits): Promise<void>;
  /** Takes these files and the folder away, what is gone already aside. */
  takeAway(folder: string, names: readonly string[], limits: Limits): Promise<void>;
};

const mostSaid = 4096;
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const noSuchFile = 2;

export async function openWindowsHost(options: ConnectOptions): Promise<WindowsHost> {
  const { host } = options;
  const { client, hostKey, secrets } = await connectTo(options);
  const failed = (what: string, status: string, output: string, cause?: unknown): Error => commandFailed({ host, what, status, output: wordsOf(output, secrets) }, cause);

  /** Over SFTP, whose errors name no path. */
  async function overSftp<T>(what: string, { deadlineMs, signal }: Limits, work: (files: Files) => Promise<T>): Promise<T> {
    return await withDeadline(`${what} on ${host}`, deadlineMs, async () => {
      const lost = Promise.withResolvers<never>();
      lost.promise.catch(() => {});
      const onClose = (): void => lost.reject(connectionLost({ host, what, why: 'it was closed' }));
      client.once('close', onClose);
      try {
        return await Promise.race([lost.promise, (async () => {
          const sftp = await new Promise<SFTPWrapper>((resolve, reject) => client.sftp((error, opened) => (error === undefined ? resolve(opened) : reject(error))));
          try {
            return await work(filesBy(sftp));
          } finally {
            sftp.end();
          }
        })()]);
      } catch (error) {
        throw isFailure(error) ? error : failed(what, 'a failure of SFTP', (error as Error).message, error);
      } finally {
        client.off('close', onClose);
      }
    }, signal);
  }

  return {
    hostKey,
    async run(folder, program, { deadlineMs, signal }) {
      const line = `cmd.exe /d /c ${requirePlain(folder)}\\${requirePlain(program)}`;
      const { code, said } = await withDeadline(`${program} on ${host}`, deadlineMs, async (ends) => await toItsEnd(client, line, ends), signal);
      if (code === undefined) throw connectionLost({ host, what: program, why: 'it closed before the command had ended' });
      if (code !== 0) throw failed(program, `exit code ${code}`, said.trim().slice(-500));
      return said;
    },
    async put(folder, files, limits) {
      await overSftp('putting files there', limits, async (by) => {
        await by.makeFolder(requirePlain(folder));
        for (const { name, content } of files) await by.write(`${folder}/${requirePlain(name)}`, content);
      });
    },
    async takeAway(folder, names, limits) {
      await overSftp('taking files away', limits, async (by) => {
        for (const name of names) await by.remove(`${folder}/${name}`);
        await by.removeFolder(folder);
      });
    },
    [Symbol.asyncDispose]: async () => await closeConnection(client),
  };
}

function requirePlain(name: string): string {
  if (!plainName.test(name)) throw new Error(`${name} is no plain name`);
  return name;
}

async function toItsEnd(client: Client, line: string, ends: AbortSignal): Promise<{ code: number | undefined; said: string }> {
  return await new Promise((resolve, reject) => {
    let said = '';
    let code: number | undefined;
    const lost = (): void => resolve({ code: undefined, said });
    client.once('close', lost);
    const listen = (channel: ClientChannel): void => {
      ends.addEventListener('abort', () => channel.close(), { once: true });
      const hear = (bytes: Buffer): void => void (said = (said + bytes.toString('utf8')).slice(-mostSaid));
      channel.on('data', hear);
      channel.stderr.on('data', hear);
      channel.on('exit', (status: number | null) => void (code = status ?? 128));
      channel.on('error', reject);
      channel.on('close', () => {
        client.off('close', lost);
        resolve({ code, said });
      });
    };
    client.exec(line, (error, channel) => (error === undefined ? listen(channel) : reject(error)));
  });
}

type Files = { makeFolder(path: string): Promise<void>; write(path: string, content: WindowsFile['content']): Promise<void>; remove(path: string): Promise<void>; removeFolder(path: string): Promise<void> };

function filesBy(sftp: SFTPWrapper): Files {
  type Answer = (error?: Error | null) => void;
  const done = async (ask: (answer: Answer) => void): Promise<void> => await new Promise((resolve, reject) => ask((error) => (error === undefined || error === null ? resolve() : reject(error))));
  const unlessGone = async (ask: (answer: Answer) => void): Promise<void> =>
    await done(ask).catch((error: Error & { code?: number }) => {
      if (error.code !== noSuchFile) throw error;
    });
  return {
    makeFolder: async (path) => await done((answer) => sftp.mkdir(path, { mode: 0o700 }, answer)),
    write: async (path, content) => await done((answer) => ('file' in content ? sftp.fastPut(content.file, path, { mode: 0o600 }, answer) : sftp.writeFile(path, content.text, { mode: 0o600 }, answer))),
    remove: async (path) => await unlessGone((answer) => sftp.unlink(path, answer)),
    removeFolder: async (path) => await unlessGone((answer) => sftp.rmdir(path, answer)),
  };
}
