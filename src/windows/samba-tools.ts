/**
 * Files and services of a Windows host over 445, by Samba's own programs: `smbclient` and `net rpc service`.
 *
 * They are told who signs in by a file of mode 600, in a directory of mode 700, which is there for one call and removed after it,
 * also when that failed; nothing of it is an argument. Every message is signed (`--client-protection=sign`) and the host must be
 * able to: without that somebody between could change what is put there, and that is run as the host's system. NTLM is what they
 * speak; a ticket of the server's own user is never used.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, type Finished } from '../base/child-process.ts';
import { portNotReached, serviceCallFailed, shareRefused, signInRefused, toolMissing } from './failures.ts';
import type { Account } from './ntlm.ts';
import { win32, type RemoteServices, type ServiceState, type Standing } from './service-control.ts';

export type SambaPlace = { readonly host: string; readonly account: Account; readonly port?: number; /** On this machine, for files that hold a password for the time of a call. */ readonly secretsDirectory: string; readonly signal?: AbortSignal };

export type RemoteFiles = {
  /** Folders directly in ADMIN$ whose names begin so. */
  foldersNamed(prefix: string): Promise<string[]>;
  /** One that is there already, or anything of its name, is a refusal. */
  makeFolder(at: string): Promise<void>;
  /** `to` and folders are in ADMIN$; a folder that is there already is a refusal. */
  put(files: readonly { readonly file: string; readonly to: string }[], folders: readonly string[], deadlineMs: number): Promise<void>;
  /** Undefined when it is not there. */
  get(from: string, to: string): Promise<boolean>;
  /** With all that is in it; nothing there is fine. */
  removeFolder(at: string): Promise<void>;
};

const callMs = 30_000;
const smbPort = 445;
const share = 'ADMIN$';
/** What Samba's programs say; the first that fits counts. */
const noSignIn = /NT_STATUS_(LOGON_FAILURE|ACCOUNT_\w+|PASSWORD_\w+|INVALID_LOGON_HOURS|INVALID_WORKSTATION|LOGON_TYPE_NOT_GRANTED|WRONG_PASSWORD|NO_SUCH_USER)/;
const noWay = /NT_STATUS_(CONNECTION_\w+|HOST_UNREACHABLE|NETWORK_UNREACHABLE|IO_TIMEOUT|NOT_FOUND|BAD_NETWORK_NAME|INVALID_NETWORK_RESPONSE|UNSUCCESSFUL)/;
const noSignature = /possible downgrade detected|signing is|SMB3 encryption/i;
const isAbsent = /NT_STATUS_(OBJECT_NAME_NOT_FOUND|OBJECT_PATH_NOT_FOUND|NO_SUCH_FILE|DELETE_PENDING)/;

type Tool = { readonly name: 'smbclient' | 'net'; readonly package: string };
const smbclient: Tool = { name: 'smbclient', package: 'smbclient' };
const net: Tool = { name: 'net', package: 'samba-common-bin' };

/** Names are ours: letters, digits, dots, dashes and backslashes. Anything else could be read as another command. */
function plainName(name: string): string {
  if (!/^[\w.@\\-]+$/.test(name)) throw new Error(`not a name for a file on a Windows host: ${name}`);
  return name;
}

async function runTool(tool: Tool, args: readonly string[], place: SambaPlace, deadlineMs: number): Promise<Finished> {
  const { account, secretsDirectory, signal, port = smbPort } = place;
  const directory = await mkdtemp(join(secretsDirectory, 'windows-'));
  try {
    const file = join(directory, 'sign-in');
    await writeFile(file, `username = ${account.user}\npassword = ${account.password}\ndomain = ${account.domain}\n`, { mode: 0o600, flag: 'wx' });
    return await runProgram(tool.name, [...args, '-A', file, '-p', String(port), '--use-kerberos=off', '--client-protection=sign'], { deadlineMs, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', HOME: directory }, signal });
  } catch (error) {
    if ((error as { cause?: NodeJS.ErrnoException }).cause?.code === 'ENOENT') throw toolMissing({ tool: tool.name, package: tool.package }, error);
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function lastLine({ stdout, stderr }: Finished): string {
  return `${stdout}\n${stderr}`.split('\n').map((line) => line.trim()).filter((line) => line.length > 1).at(-1)?.slice(0, 300) ?? 'it said nothing';
}

/** What a refusal is, or undefined where the words are those of the call itself. */
function refusalOf(place: SambaPlace, ended: Finished): Error | undefined {
  const { host, account, port = smbPort } = place;
  const said = `${ended.stdout}\n${ended.stderr}`;
  const signIn = noSignIn.exec(said);
  if (signIn !== null) return signInRefused({ host, user: account.user, why: signIn[0] });
  if (noSignature.test(said)) return signInRefused({ host, user: account.user, why: 'it does not sign what it says, or somebody between takes that away' });
  if (/session setup failed: NT_STATUS_ACCESS_DENIED|tree connect failed: NT_STATUS_ACCESS_DENIED/.test(said)) return signInRefused({ host, user: account.user, why: 'NT_STATUS_ACCESS_DENIED' });
  const way = noWay.exec(said);
  return way !== null && /onnect/.test(said) ? portNotReached({ host, port, why: way[0] }) : undefined;
}

export function filesOver445(place: SambaPlace): RemoteFiles {
  const { host } = place;
  const command = async (what: string, text: string, deadlineMs = callMs, isFine?: RegExp): Promise<Finished> => {
    const ended = await runTool(smbclient, [`//${host}/${share}`, '-c', text], place, deadlineMs);
    const said = `${ended.stdout}\n${ended.stderr}`;
    const isDone = ended.code === 0 && !/NT_STATUS_/.test(said);
    if (isDone || isFine?.test(said) === true) return ended;
    throw refusalOf(place, ended) ?? shareRefused({ host, what, why: lastLine(ended) });
  };
  return {
    async foldersNamed(prefix) {
      const { stdout } = await command(`looking for ${prefix}*`, `ls ${plainName(prefix)}*`, callMs, isAbsent);
      // Samba writes a name, then its attributes: D is a folder.
      const lines = stdout.split('\n').map((line) => /^ {2}([\w.-]+) +([A-Za-z]+) +\d+ /.exec(line));
      return lines.filter((line) => line?.[2]?.includes('D') === true && line[1]!.startsWith(prefix)).map((line) => line![1]!);
    },
    makeFolder: async (at) => void (await command(`making ${at}`, `mkdir ${plainName(at)}`)),
    async put(files, folders, deadlineMs) {
      // One call, because signing in takes longer than most files. Each command that failed has said so.
      const commands = [...folders.map((at) => `mkdir ${plainName(at)}`), ...files.map(({ file, to }) => `put "${file}" ${plainName(to)}`)];
      await command(`putting ${files.length} files`, commands.join(';'), deadlineMs);
    },
    async get(from, to) {
      const ended = await command(`reading ${from}`, `get ${plainName(from)} "${to}"`, callMs, isAbsent);
      return !isAbsent.test(`${ended.stdout}\n${ended.stderr}`);
    },
    removeFolder: async (at) => void (await command(`removing ${at}`, `deltree ${plainName(at)}`, callMs, isAbsent)),
  };
}

const words: readonly (readonly [RegExp, ServiceState])[] = [
  [/service is running/i, 'running'],
  [/start pending/i, 'start-pending'],
  [/stop pending/i, 'stop-pending'],
  [/service is stopped/i, 'stopped'],
  [/paused/i, 'paused'],
];

/** The pipe of service control: slower than the line of its own, and there wherever 445 is. */
export function servicesOver445(place: SambaPlace): RemoteServices {
  const { host } = place;
  const errors: readonly (readonly [RegExp, number])[] = [
    [/WERR_SERVICE_DOES_NOT_EXIST|WERR_NO_SUCH_SERVICE/, win32.unknown],
    [/WERR_SERVICE_EXISTS/, win32.exists],
    [/WERR_SERVICE_MARKED_FOR_DELETE/, win32.markedForDelete],
    [/WERR_SERVICE_ALREADY_RUNNING/, win32.runsAlready],
    [/WERR_SERVICE_NOT_ACTIVE/, win32.notActive],
    [/WERR_ACCESS_DENIED/, win32.denied],
  ];
  const ask = async (what: string, args: readonly string[]): Promise<{ status: number; said: string }> => {
    const ended = await runTool(net, ['rpc', 'service', ...args, '-S', host], place, callMs);
    const said = `${ended.stdout}\n${ended.stderr}`;
    const status = errors.find(([pattern]) => pattern.test(said))?.[1];
    if (status !== undefined) return { status, said };
    if (ended.code === 0 || words.some(([pattern]) => pattern.test(said))) return { status: 0, said };
    throw refusalOf(place, ended) ?? serviceCallFailed({ host, what, status: ended.code, why: lastLine(ended) });
  };
  const answered = async <const T extends string>(what: string, args: readonly string[], answers: Readonly<Record<number, T>>): Promise<T> => {
    const { status, said } = await ask(what, args);
    const answer = answers[status];
    if (answer === undefined) throw serviceCallFailed({ host, what, status, why: /WERR_\w+/.exec(said)?.[0] ?? 'see the number' });
    return answer;
  };
  return {
    create: async ({ name, title, command }) => await answered(`creating the service ${name}`, ['create', name, title, command], { 0: 'created', [win32.exists]: 'exists' }),
    start: async (name) => await answered(`starting ${name}`, ['start', name], { 0: 'started', [win32.runsAlready]: 'runs-already', [win32.unknown]: 'unknown' }),
    stop: async (name) => await answered(`stopping ${name}`, ['stop', name], { 0: 'told', [win32.notActive]: 'not-running', [win32.unknown]: 'unknown' }),
    remove: async (name) => await answered(`deleting ${name}`, ['delete', name], { 0: 'removed', [win32.markedForDelete]: 'removed', [win32.unknown]: 'unknown' }),
    async standing(name): Promise<Standing | 'unknown'> {
      const { status, said } = await ask(`the state of ${name}`, ['status', name]);
      if (status === win32.unknown) return 'unknown';
      return { state: words.find(([pattern]) => pattern.test(said))?.[1] ?? 'stopped', exitCode: 0, ownExitCode: 0 };
    },
  };
}
