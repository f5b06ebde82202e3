/**
 * A host over SSH, as root: connected, signed in, and tried before anything is relied on.
 *
 * Order: the host's key, the sign-in, then one command as the user, which shows a shell that prints of its own accord or
 * runs nothing or is one of Windows, then one as root. Only then is the shell answered; what fails says which of these it was.
 */
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import { runScript, type Place, type Ran, type RunOptions } from './command.ts';
import { closeConnection, connectTo, type ConnectOptions } from './connect.ts';
import { waysOf, type Way } from './elevation.ts';
import { commandFailed, elevationRefused, hostRunsWindows, passwordExpired, shellNoisy, shellUnusable } from './failures.ts';
import type { HostKey } from './host-key.ts';
import { upload, type Upload } from './upload.ts';
import { askForWindows } from './windows-shell.ts';
import { wordsOf } from './words.ts';

export type Shell = AsyncDisposable & {
  readonly host: string;
  readonly user: string;
  readonly hostKey: HostKey;
  /** How root was reached; `plain`: the user is root. */
  readonly rootBy: Way['kind'];
  /** Runs a script for /bin/sh as root to its end, whatever its exit code. */
  run(what: string, script: string, options: RunOptions): Promise<Ran>;
  /** Runs a script as root and fails unless it ends with 0; answers what it printed. */
  ask(what: string, script: string, options: RunOptions): Promise<string>;
  /** Puts a file in place as root's. */
  upload(wanted: Upload): Promise<void>;
};

export type ShellOptions = ConnectOptions & {
  /** How long sudo, su or the login shell may take until a command begins. */
  readonly beginMs?: number;
};

export async function openShell(options: ShellOptions): Promise<Shell> {
  const { host, credential } = options;
  const { user } = credential;
  const connection = await connectTo(options);
  const { client } = connection;
  const place: Place = { host, user, connection, beginMs: options.beginMs ?? 20_000 };
  try {
    const isRoot = await tryShell(place, options.signal);
    const way: Way = isRoot ? { kind: 'plain' } : await findWay(place, waysOf(credential), options.signal);
    const run: Shell['run'] = async (what, script, runOptions) => await runScript(place, way, what, script, runOptions);
    const shell: Shell = {
      host,
      user,
      hostKey: connection.hostKey,
      rootBy: way.kind,
      run,
      async ask(what, script, runOptions) {
        const { code, stdout, stderr } = await run(what, script, runOptions);
        if (code !== 0) throw commandFailed({ host, what, status: `exit code ${code}`, output: wordsOf(stderr === '' ? stdout.toString('utf8').slice(-500) : stderr.slice(-500), connection.secrets) });
        return stdout.toString('utf8');
      },
      upload: async (wanted) => await upload({ host, client, asUser: async (what, script, more) => await runScript(place, { kind: 'plain' }, what, script, more), asRoot: run }, wanted),
      [Symbol.asyncDispose]: async () => await closeConnection(client),
    };
    return shell;
  } catch (error) {
    await closeConnection(client);
    throw error;
  }
}

/** Whether the user is root. Fails when the login shell prints anything of its own or does not run what it is given. */
async function tryShell(place: Place, signal: AbortSignal | undefined): Promise<boolean> {
  const { host, user, connection } = place;
  const word = randomId();
  let ran: Ran;
  try {
    ran = await runScript(place, { kind: 'plain' }, 'a first command', `echo ${word}; id -u`, { deadlineMs: place.beginMs + 10_000, signal });
  } catch (error) {
    if (isFailure(error, shellUnusable) && /password (change required|has expired|is expired)|your password has expired/i.test(error.message)) throw passwordExpired({ host, user }, error);
    const shell = isFailure(error, shellUnusable) ? await askForWindows(connection.client, place.beginMs, signal) : undefined;
    throw shell === undefined ? error : hostRunsWindows({ host, shell }, error);
  }
  const printed = ran.stdout.toString('utf8');
  const at = printed.indexOf(word);
  if (at > 0) throw shellNoisy({ host, user, printed: wordsOf(printed.slice(0, at), connection.secrets) });
  const uid = /^\d+$/.exec(printed.slice(word.length).trim())?.[0];
  if (at < 0 || uid === undefined) throw shellUnusable({ host, user, why: `"id -u" ended with exit code ${ran.code}: ${wordsOf(`${ran.stderr} ${printed}`, connection.secrets)}` });
  return uid === '0';
}

/** The first way that leads to root. */
async function findWay(place: Place, ways: readonly Way[], signal: AbortSignal | undefined): Promise<Way> {
  const { host, user } = place;
  const refused: string[] = [];
  for (const way of ways) {
    try {
      const { code, stdout, stderr } = await runScript(place, way, `${way.kind} id`, 'id -u', { deadlineMs: place.beginMs + 10_000, signal });
      if (code === 0 && stdout.toString('utf8').trim() === '0') return way;
      refused.push(`"id -u" came to ${wordsOf(`${stdout.toString('utf8')} ${stderr}`, place.connection.secrets)}`);
    } catch (error) {
      if (!isFailure(error, elevationRefused)) throw error;
      refused.push(String(error.details['why']));
    }
  }
  const names = ways.map(({ kind }) => kind);
  if (ways.length === 0) throw elevationRefused({ host, user, way: 'nothing', why: 'the user is not root and the credential names no way to become it' });
  throw elevationRefused({ host, user, way: names.join(' or '), why: refused.map((why, at) => (names.length > 1 ? `${names[at]}: ${why}` : why)).join('; ') });
}
