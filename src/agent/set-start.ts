/**
 * Starting a restored set, and waiting until it really is one.
 *
 * A member that was given a wrong configuration stays RECOVERING for ever without a word in its log, so a set counts as
 * started only when it has a primary and has taken a majority write. When that fails, every member that was started is
 * stopped again: their directories are complete, and nothing runs that nobody knows of.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, open, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../base/whole-file.ts';
import type { Document, MongoClient } from 'mongodb';
import { until, withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { openClient, type MongoAddress } from '../mongo/connect.ts';
import { mongodDied } from '../mongo/failures.ts';
import { lastErrors } from '../mongo/mongod.ts';
import { setNotReady } from './failures.ts';
import type { Moment } from './moment.ts';
import { storageArguments } from './storage-arguments.ts';
import { mongodOn } from './target-directory.ts';
import type { TaskContext } from './task-context.ts';

type Member = { readonly directory: string; readonly host: string; readonly port: number };
type StartedSet = { readonly setName: string; readonly members: readonly Member[] };

const readySeconds = 120;
const keyFileName = 'tidemark-key';

/** What an operator would type; `startSet` does the same. */
export function startCommand(moment: Moment, setName: string, member: Member): string[] {
  const bind = isLoopback(member.host) ? '127.0.0.1' : `127.0.0.1,${member.host}`;
  const keyFile = moment.about.accessControl ? ['--keyFile', join(member.directory, keyFileName)] : [];
  const where = ['--dbpath', member.directory, '--port', String(member.port), '--bind_ip', bind];
  return [moment.binary, '--replSet', setName, ...where, '--logpath', logPath(member), '--logappend', ...keyFile, ...storageArguments(moment.about)];
}

function logPath(member: Member): string {
  return `${member.directory}.log`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Members of a set with access control sign in to each other with the content of a key file. */
export function newKey(moment: Moment): string | undefined {
  return moment.about.accessControl ? randomBytes(64).toString('base64') : undefined;
}

/** Into a directory that is still being built, so that the printed commands work whoever runs them, and when. */
export async function writeKey(directory: string, key: string | undefined): Promise<void> {
  if (key === undefined) return;
  const path = join(directory, keyFileName);
  await rm(path, { force: true });
  await writeFile(path, key, { mode: 0o600, flag: 'wx', flush: true });
  await syncDirectory(directory);
}

/** The log stands beside the directory, where the member's own user may not make files. */
export async function makeLog(member: Member): Promise<void> {
  const { uid, gid } = await stat(member.directory);
  await chown(await touched(logPath(member)), uid, gid);
}

/** `commands` are those of the members, in their order. */
export async function startSet(set: StartedSet, commands: readonly (readonly string[])[], key: string | undefined, context: TaskContext): Promise<void> {
  const started = await startMembers(set.members, commands, key, context);
  try {
    await settleSet(set, key, context);
  } catch (error) {
    await stopAgain(started, context);
    throw error;
  }
}

export type Started = { readonly member: Member; readonly child: ChildProcess; readonly ended: Promise<string> };

/** Until each of them answers. When one does not, all are stopped again. */
export async function startMembers(members: readonly Member[], commands: readonly (readonly string[])[], key: string | undefined, context: TaskContext): Promise<readonly Started[]> {
  const started: Started[] = [];
  try {
    context.step('start the members');
    for (const [k, member] of members.entries()) await startMember(commands[k]!, member, key, started, context);
    return started;
  } catch (error) {
    await stopAgain(started, context);
    throw error;
  }
}

/** Until the set has a primary, every member is up, and a majority write was taken. */
export async function settleSet(set: StartedSet, key: string | undefined, context: TaskContext): Promise<void> {
  context.step('wait for a primary and a majority write');
  await hasten(set, key);
  await using client = await openClient(addressOf(set, key), { deadlineMs: readySeconds * 1000 });
  await requireMajorityWrite(client, set, context);
  context.say(`${set.setName} has a primary, every member is up, and a majority write was taken`);
}

const stopSeconds = 20;

async function stopAgain(started: readonly Started[], context: TaskContext): Promise<void> {
  for (const { child } of started) child.kill('SIGTERM');
  for (const { member, child, ended } of started) {
    const isOver = await withDeadline(`mongod on port ${member.port} to end`, stopSeconds * 1000, async () => await ended).catch(() => undefined);
    if (isOver === undefined) child.kill('SIGKILL');
    context.say(`the mongod of ${member.directory} on port ${member.port} was stopped again: ${isOver ?? 'killed'}`, 'warning');
  }
}

/** Those that another process started, as their directories tell. */
export async function stopMembers(members: readonly Member[], context: TaskContext): Promise<void> {
  const running = (await Promise.all(members.map(async (member) => ({ member, pid: await mongodOn(member.directory) })))).flatMap(({ member, pid }) => (pid === undefined ? [] : [{ member, pid }]));
  for (const { pid } of running) process.kill(pid, 'SIGTERM');
  for (const { member, pid } of running) {
    const gone = async (): Promise<true | undefined> => ((await mongodOn(member.directory)) === pid ? undefined : true);
    const isOver = await until(`mongod on port ${member.port} to end`, stopSeconds * 1000, gone).catch(() => undefined);
    if (isOver === undefined) process.kill(pid, 'SIGKILL');
    context.say(`the mongod of ${member.directory} on port ${member.port} was stopped again`, 'warning');
  }
}

/** Runs exactly the printed command as the owner of the directory; the member stays when this process ends. */
async function startMember(command: readonly string[], member: Member, key: string | undefined, started: Started[], context: TaskContext): Promise<void> {
  const { uid, gid } = await stat(member.directory);
  const [binary = '', ...args] = command;
  const child = spawn(binary, args, { stdio: 'ignore', detached: true, uid, gid, cwd: '/', env: {} });
  child.unref();
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  started.push({ member, child, ended });
  const answers = until(
    `mongod on port ${member.port} to answer`,
    readySeconds * 1000,
    async () => {
      try {
        await using client = await openClient({ hosts: [member], credential: internal(key) }, { member, deadlineMs: 2_000, undiagnosed: true });
        return client !== undefined ? true : undefined;
      } catch {
        return undefined;
      }
    },
    { everyMs: 100, signal: context.signal },
  );
  answers.catch(() => {});
  const outcome = await Promise.race([answers, ended]);
  if (outcome !== true) throw mongodDied({ dbPath: member.directory, status: outcome, says: lastErrors(logPath(member)) });
}

async function touched(path: string): Promise<string> {
  await (await open(path, 'a', 0o600)).close();
  return path;
}

/** We sign in as the members do. */
function internal(key: string | undefined): { kind: 'none' } | { kind: 'scram'; user: string; password: string; authSource: string } {
  return key === undefined ? { kind: 'none' } : { kind: 'scram', user: '__system', password: key, authSource: 'local' };
}

function addressOf(set: StartedSet, key: string | undefined): MongoAddress {
  return { hosts: set.members.map(({ host, port }) => ({ host, port })), replicaSet: set.setName, credential: internal(key) };
}

/** Elections wait ten seconds for nobody in a set that has just been made: ask the first member to stand at once. */
async function hasten(set: StartedSet, key: string | undefined): Promise<void> {
  const [first] = set.members as [Member];
  await using direct = await openClient({ hosts: [first], credential: internal(key) }, { member: first });
  await direct.db('admin').command({ replSetStepUp: 1 }).catch(() => {
    // Another member may already be standing.
  });
}

async function requireMajorityWrite(client: MongoClient, set: StartedSet, context: TaskContext): Promise<void> {
  let states = '';
  try {
    await until(
      'every member to be up',
      readySeconds * 1000,
      async () => {
        const status = await client.db('admin').command({ replSetGetStatus: 1 }).catch((): Document => ({ members: [] }));
        const members = status['members'] as Document[];
        states = members.map((member) => `${member['name']} ${member['stateStr']}`).join(', ');
        return members.length > 0 && members.every((member) => member['stateStr'] === 'PRIMARY' || member['stateStr'] === 'SECONDARY') ? true : undefined;
      },
      { everyMs: 100, signal: context.signal },
    );
    await client.db('admin').command({ appendOplogNote: 1, data: { msg: 'restored by tidemark' }, writeConcern: { w: 'majority', wtimeout: 60_000 } });
  } catch (error) {
    if (isFailure(error)) throw setNotReady({ set: set.setName, seconds: readySeconds, states }, error);
    throw error;
  }
}
