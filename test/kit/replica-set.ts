/**
 * A real replica set on this machine, small and quick: short election timeout, small caches, free ports.
 * Everything it started ends with this process, however that ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Document, MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { openClient, type ClientOptions, type HostAndPort, type MongoAddress } from '../../src/mongo/connect.ts';
import { lastErrors } from '../../src/mongo/mongod.ts';
import { freePorts } from './free-port.ts';
import { findMongod } from './mongod.ts';

export type SetOptions = {
  readonly members?: number;
  readonly name?: string;
  readonly oplogSizeMb?: number;
  readonly args?: readonly string[];
  /** Turns access control on, with a key file and a root user `admin`/`admin`. */
  readonly auth?: boolean;
  /** Parent of the members' directories; default: a new one under /tmp, removed at the end. */
  readonly directory?: string;
  /** A data directory for each member, in place of those under `directory`. */
  readonly dbPaths?: readonly string[];
  /** More fields for each member's configuration, such as `{ arbiterOnly: true, priority: 0 }`. */
  readonly memberConfig?: readonly Document[];
  readonly settings?: Document;
  readonly binary?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cacheGb?: number;
};

export type SetMember = {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly dbPath: string;
  readonly logPath: string;
  readonly address: MongoAddress;
  readonly pid: number;
  readonly running: boolean;
  /** A new client for this member alone. */
  client(options?: ClientOptions): Promise<MongoClient>;
  kill9(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** Starts it (again) and waits until it answers. */
  restart(extraArgs?: readonly string[]): Promise<void>;
};

export type ReplicaSet = AsyncDisposable & {
  readonly name: string;
  readonly uri: string;
  readonly address: MongoAddress;
  readonly directory: string;
  readonly binary: string;
  readonly mongoVersion: string;
  readonly members: readonly SetMember[];
  /** A new client for the set. */
  client(options?: ClientOptions): Promise<MongoClient>;
  primary(): Promise<SetMember>;
  /** Data-bearing members that are secondary at this moment. */
  secondaries(): Promise<SetMember[]>;
  /** Makes the primary step down and answers the new one. */
  stepDown(): Promise<SetMember>;
  /** Until every running data member is primary or secondary. */
  settled(): Promise<void>;
  stop(): Promise<void>;
};

const GENEROUS_MS = 90_000;

export async function openReplicaSet(options: SetOptions = {}): Promise<ReplicaSet> {
  for (let tries = 1; ; tries++) {
    try {
      return await startSet(options);
    } catch (error) {
      // Another program took one of the ports in between: mongod ends with 48.
      if (tries === 3 || !/ended \(48\)/.test(String(error))) throw error;
    }
  }
}

async function startSet(options: SetOptions): Promise<ReplicaSet> {
  const found = await findMongod();
  const binary = options.binary ?? found.path;
  const own = options.directory === undefined;
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'tm-set-'));
  mkdirSync(directory, { recursive: true });
  const name = options.name ?? 'rs0';
  const keyFile = options.auth === true ? makeKeyFile(directory) : undefined;
  const ports = await freePorts(options.members ?? options.dbPaths?.length ?? 3);
  const members = ports.map((port, k) => {
    const dbPath = options.dbPaths?.[k] ?? join(directory, `m${k}`);
    return makeMember({ binary, port, dbPath, name, keyFile, options, logPath: join(directory, `m${k}.log`) });
  });
  const set = makeSet({ name, directory, own, binary, version: found.version, members, options });
  try {
    await Promise.all(members.map((member) => member.restart()));
    await initiate(set, options);
    return set;
  } catch (error) {
    await set.stop();
    throw error;
  }
}

type MemberPlan = {
  readonly binary: string;
  readonly port: number;
  readonly dbPath: string;
  readonly logPath: string;
  readonly name: string;
  readonly keyFile: string | undefined;
  readonly options: SetOptions;
};

function makeMember(plan: MemberPlan): SetMember {
  const host = '127.0.0.1';
  const credential = plan.options.auth === true ? ({ kind: 'scram', user: 'admin', password: 'admin' } as const) : undefined;
  const address: MongoAddress = { hosts: [{ host, port: plan.port }], credential };
  let child: ChildProcess | undefined;
  const running = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    if (ending === undefined || !running()) return;
    const exit = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await exit;
  };
  return {
    host,
    port: plan.port,
    name: `${host}:${plan.port}`,
    dbPath: plan.dbPath,
    logPath: plan.logPath,
    address,
    get pid() {
      return child?.pid ?? -1;
    },
    get running() {
      return running();
    },
    client: async (more) => await openClient(address, more),
    kill9: async () => await ended('SIGKILL'),
    stop: async () => await ended('SIGTERM'),
    restart: async (extra = []) => {
      if (running()) await ended('SIGTERM');
      child = launch(plan, extra);
      await answers(plan, child);
    },
  };
}

function launch(plan: MemberPlan, extra: readonly string[]): ChildProcess {
  const { options } = plan;
  mkdirSync(plan.dbPath, { recursive: true });
  const args = ['--dbpath', plan.dbPath, '--replSet', plan.name, '--port', String(plan.port), '--bind_ip', '127.0.0.1'];
  args.push('--nounixsocket', '--logpath', plan.logPath, '--logappend');
  args.push('--oplogSize', String(options.oplogSizeMb ?? 64), '--wiredTigerCacheSizeGB', String(options.cacheGb ?? 0.25));
  args.push('--setParameter', 'diagnosticDataCollectionEnabled=false', '--setParameter', 'enableTestCommands=1');
  args.push('--setParameter', 'shutdownTimeoutMillisForSignaledShutdown=100');
  if (plan.keyFile !== undefined) args.push('--keyFile', plan.keyFile);
  args.push(...(options.args ?? []), ...extra);
  const out = openSync(`${plan.logPath}.out`, 'a');
  try {
    return spawn('setpriv', ['--pdeathsig', 'KILL', '--', plan.binary, ...args], {
      stdio: ['ignore', out, out],
      env: { ...process.env, ...options.env },
    });
  } finally {
    closeSync(out);
  }
}

async function answers(plan: MemberPlan, child: ChildProcess): Promise<void> {
  await until(`mongod on port ${plan.port}`, GENEROUS_MS, async () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`mongod on ${plan.dbPath} ended (${child.exitCode ?? child.signalCode}): ${lastErrors(plan.logPath)}`);
    }
    return await hello({ host: '127.0.0.1', port: plan.port });
  });
}

/** Without signing in; undefined while nobody answers. */
async function hello(member: HostAndPort): Promise<Document | undefined> {
  try {
    await using client = await openClient({ hosts: [member] }, { deadlineMs: 1_000, member });
    return await client.db('admin').command({ hello: 1 });
  } catch {
    return undefined;
  }
}

async function initiate(set: ReplicaSet, options: SetOptions): Promise<void> {
  const first = set.members[0]!;
  await using client = await openClient({ hosts: [first] }, { member: first });
  await client.db('admin').command({
    replSetInitiate: {
      _id: set.name,
      version: 1,
      members: set.members.map((member, k) => ({ _id: k, host: member.name, priority: k === 0 ? 2 : 1, ...options.memberConfig?.[k] })),
      settings: { electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200, catchUpTimeoutMillis: 5000, ...options.settings },
    },
  });
  if (options.auth === true) {
    await until('a primary for the first user', GENEROUS_MS, async () => ((await hello(first))?.['isWritablePrimary'] === true ? true : undefined));
    const w = set.members.length - (options.memberConfig?.filter((member) => member['arbiterOnly'] === true).length ?? 0);
    await client.db('admin').command({ createUser: 'admin', pwd: 'admin', roles: ['root'], writeConcern: { w, wtimeout: GENEROUS_MS } });
  }
  await set.settled();
}

type SetPlan = {
  readonly name: string;
  readonly directory: string;
  readonly own: boolean;
  readonly binary: string;
  readonly version: string;
  readonly members: readonly SetMember[];
  readonly options: SetOptions;
};

function makeSet(plan: SetPlan): ReplicaSet {
  const { members, name } = plan;
  const credential = plan.options.auth === true ? ({ kind: 'scram', user: 'admin', password: 'admin' } as const) : undefined;
  const address: MongoAddress = { hosts: members.map(({ host, port }) => ({ host, port })), replicaSet: name, credential };
  const stateOf = async (member: SetMember): Promise<Document | undefined> => (member.running ? await hello(member) : undefined);
  /** The member that is primary by another election than `before`. */
  const writable = async (before?: string): Promise<SetMember> =>
    await until('a primary', GENEROUS_MS, async () => {
      for (const member of members) {
        const state = await stateOf(member);
        if (state?.['isWritablePrimary'] === true && String(state['electionId']) !== before) return member;
      }
      return undefined;
    });
  const settled = async (): Promise<void> => {
    await writable();
    for (const member of members.filter((each) => each.running)) {
      await until(`${member.name} to be primary or secondary`, GENEROUS_MS, async () => {
        const state = await stateOf(member);
        return state?.['isWritablePrimary'] === true || state?.['secondary'] === true || state?.['arbiterOnly'] === true ? true : undefined;
      });
    }
  };
  // A run that ends by an error leaves no files either; its mongods die with it by themselves.
  const atExit = (): void => {
    for (const member of members) if (member.running) process.kill(member.pid, 'SIGKILL');
    if (plan.own) rmSync(plan.directory, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', atExit);
  const stop = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill9()));
    process.off('exit', atExit);
    if (plan.own && existsSync(plan.directory)) rmSync(plan.directory, { recursive: true, force: true, maxRetries: 5 });
  };
  return {
    name,
    address,
    uri: `mongodb://${credential === undefined ? '' : 'admin:admin@'}${members.map((member) => member.name).join(',')}/?replicaSet=${name}${credential === undefined ? '' : '&authSource=admin'}`,
    directory: plan.directory,
    binary: plan.binary,
    mongoVersion: plan.version,
    members,
    client: async (options) => await openClient(address, { deadlineMs: 30_000, ...options }),
    primary: async () => await writable(),
    secondaries: async () => {
      const states = await Promise.all(members.map(stateOf));
      return members.filter((_, k) => states[k]?.['secondary'] === true);
    },
    stepDown: async () => {
      const old = await writable();
      const election = String((await stateOf(old))?.['electionId']);
      await using client = await old.client();
      await client.db('admin').command({ replSetStepDown: 3, secondaryCatchUpPeriodSecs: 2, force: true });
      return await writable(election);
    },
    settled,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function makeKeyFile(directory: string): string {
  const path = join(directory, 'key');
  writeFileSync(path, randomBytes(96).toString('base64'));
  chmodSync(path, 0o600);
  return path;
}

/** What every member has by now is in a checkpoint of its own afterwards. */
export async function checkpointMembers({ members }: Pick<ReplicaSet, 'members'>): Promise<void> {
  for (const member of members) {
    await using client = await member.client();
    await client.db('admin').command({ fsync: 1 });
  }
}
