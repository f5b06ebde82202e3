/**
 * Starting a restored set, and waiting until it really is one.
 *
 * A member that was given a wrong configuration stays RECOVERING for ever without a word in its log, so a set counts as
 * started only when it has a primary and has taken a majority write.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document, MongoClient } from 'mongodb';
import { until } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import type { TaskInput } from '../contract/tasks.ts';
import { openClient, type MongoAddress } from '../mongo/connect.ts';
import { mongodDied } from '../mongo/failures.ts';
import { lastErrors } from '../mongo/mongod.ts';
import { setNotReady } from './failures.ts';
import type { Moment } from './moment.ts';
import { storageArguments } from './storage-arguments.ts';
import type { TaskContext } from './task-context.ts';

type Member = TaskInput<'restore-set'>['members'][number];

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

export async function startSet(moment: Moment, input: TaskInput<'restore-set'>, context: TaskContext): Promise<void> {
  const key = moment.about.accessControl ? randomBytes(64).toString('base64') : undefined;
  context.step('start the members');
  for (const member of input.members) {
    if (key !== undefined) await writeKey(member.directory, key);
    await startMember(startCommand(moment, input.setName, member), member, key, context);
  }
  context.step('wait for a primary and a majority write');
  await hasten(input, key);
  await using client = await openClient(addressOf(input, key), { deadlineMs: readySeconds * 1000 });
  await requireMajorityWrite(client, input, context);
  context.say(`${input.setName} has a primary, every member is up, and a majority write was taken`);
}

/** Runs exactly the printed command as the owner of the directory; the member stays when this process ends. */
async function startMember(command: readonly string[], member: Member, key: string | undefined, context: TaskContext): Promise<void> {
  const { uid, gid } = await stat(member.directory);
  await chown(await touched(logPath(member)), uid, gid);
  const [binary = '', ...args] = command;
  const child = spawn(binary, args, { stdio: 'ignore', detached: true, uid, gid, cwd: '/', env: {} });
  child.unref();
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
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

/** Members of a set with access control sign in to each other with the key file's content; so can we. */
function internal(key: string | undefined): { kind: 'none' } | { kind: 'scram'; user: string; password: string; authSource: string } {
  return key === undefined ? { kind: 'none' } : { kind: 'scram', user: '__system', password: key, authSource: 'local' };
}

async function writeKey(directory: string, key: string): Promise<void> {
  const path = join(directory, keyFileName);
  const { uid, gid } = await stat(directory);
  await writeFile(path, key, { mode: 0o600 });
  await chown(path, uid, gid);
}

function addressOf(input: TaskInput<'restore-set'>, key: string | undefined): MongoAddress {
  return { hosts: input.members.map(({ host, port }) => ({ host, port })), replicaSet: input.setName, credential: internal(key) };
}

/** Elections wait ten seconds for nobody in a set that has just been made: ask the first member to stand at once. */
async function hasten(input: TaskInput<'restore-set'>, key: string | undefined): Promise<void> {
  const [first] = input.members as [Member];
  await using direct = await openClient({ hosts: [first], credential: internal(key) }, { member: first });
  await direct.db('admin').command({ replSetStepUp: 1 }).catch(() => {
    // Another member may already be standing.
  });
}

async function requireMajorityWrite(client: MongoClient, input: TaskInput<'restore-set'>, context: TaskContext): Promise<void> {
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
    if (isFailure(error)) throw setNotReady({ set: input.setName, seconds: readySeconds, states }, error);
    throw error;
  }
}
