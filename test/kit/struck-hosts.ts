/** Two whole hosts that are struck while they work for a set: blows, and what must be true when a session has ended. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { until } from '../../src/base/deadline.ts';
import { readText } from '../../src/mongo/process-facts.ts';
import { openHostedPlatform, repositoryOn, type HostedPlatform, type HostedSet } from './hosted-platform.ts';
import { endStates, type EndedSession } from './killed-platform.ts';
import { descendants } from './platform.ts';
import type { WholeHost } from './whole-host.ts';

export type StruckSession = EndedSession & { failure: { code: string; message: string; hint: string } | null };

export type StruckHosts = AsyncDisposable & {
  readonly hosted: HostedPlatform;
  readonly set: HostedSet;
  readonly db: WholeHost;
  readonly vault: WholeHost;
  /** New data that no chunk is stored of yet, then a backup; answers its session. */
  begin(): Promise<string>;
  /** Until the session is at a step whose name fits. */
  at(session: string, step: RegExp): Promise<void>;
  /** Until bytes have arrived in the archive. */
  onItsWay(): Promise<void>;
  /** Until the database of a proof is starting on db, which then stands still until it is let go. */
  holdProof(): Promise<() => void>;
  show(session: string): Promise<StruckSession>;
  ended(session: string, withinMs: number): Promise<StruckSession>;
  /** Nothing of a backup is left on any host but the following of the oplog, which goes on; and the next backup works. */
  isWell(what: string, how?: { vaultDied?: boolean }): Promise<void>;
  /** No packet in or out of the host until it is mended. */
  cut(host: WholeHost): Promise<() => Promise<void>>;
};

/** At this rate of what the database's host sends, a copy takes two seconds and more: long enough to be struck in its middle. */
const newBytes = 12e6;
const rate = '40mbit';
/** There is no reflink here and one member: the copy fits between two checkpoints, also with a cut in its middle, because they are rare. */
const window = ['--window-seconds', '600'];

export async function openStruckHosts(options: { isHasty?: boolean } = {}): Promise<StruckHosts> {
  await using stack = new AsyncDisposableStack();
  const hosted = stack.use(await openHostedPlatform(['db', 'vault'], { sizeMb: 2500, ...options }));
  const { platform, hosts } = hosted;
  const [db, vault] = [hosts['db']!, hosts['vault']!];
  const set = stack.use(await hosted.startSet(['db'], { flags: ['--syncdelay', '600'] }));
  await hosted.addRepository('vault');
  await platform.ok('set', 'add', set.uri, '--repository', 'vault');

  const show: StruckHosts['show'] = async (id) => await until('the server to answer', 60_000, async () => {
    const { code, json } = await platform.tidemark('session', 'show', id);
    return code === 0 ? json : undefined;
  }, { everyMs: 200 });
  const ended: StruckHosts['ended'] = async (id, withinMs) =>
    await until(`session ${id} to end`, withinMs, async () => {
      const session = await show(id);
      return endStates.has(session.state) ? session : undefined;
    }, { everyMs: 300 });
  let leases: string[] = [];
  const begin = async (): Promise<string> => {
    await until('the database', 60_000, async () => {
      const documents = Array.from({ length: newBytes / 48e3 }, () => ({ bytes: randomBytes(48e3) }));
      return await set.client.db('shop').collection('blobs').insertMany(documents, { writeConcern: { w: 'majority', journal: true } }).catch(() => undefined);
    }, { everyMs: 500 });
    leases = await leasesOn(vault);
    await slowDown(db);
    return (await platform.ok('backup', 'run', 'rs0', '--source', set.members[0]!, ...window, '--detach')).session as string;
  };
  const owned = stack.move();
  return {
    hosted,
    set,
    db,
    vault,
    begin,
    show,
    ended,
    at: async (id, step) => {
      await until(`session ${id} to be at ${step}`, 120_000, async () => {
        const { steps, state, failure } = await show(id);
        assert.ok(!endStates.has(state), `it ended as ${state} before it was at ${step}: ${failure?.message}; ${steps.map(({ name }) => name).join(', ')}`);
        return step.test(steps.at(-1)?.name ?? '') ? true : undefined;
      }, { everyMs: 100 });
    },
    async isWell(what, { vaultDied = false } = {}) {
      // It may never have been slowed down.
      await db.run('tc', ['qdisc', 'del', 'dev', 'eth0', 'root']);
      await hosted.connected('db');
      await hosted.connected('vault');
      await until(`the oplog to be followed after ${what}`, 120_000, async () => ((await platform.ok('set', 'show', 'rs0')).oplog.state === 'following' ? true : undefined), { everyMs: 500 });
      const made = await nextBackup(hosted, what, ['--source', set.members[0]!, ...window], 120_000);
      assert.equal(made.verified, true, `the backup after ${what}`);
      // Nobody can withdraw the lease of a writer that a dead host served: it counts until its time is over.
      const fresh = async (): Promise<string[]> => (vaultDied ? [] : (await leasesOn(vault)).filter((lease) => !leases.includes(lease)));
      const left = async (): Promise<string[]> => [...(await leftOn(db, 'db')), ...(await leftOn(vault, 'vault')), ...(await fresh()), ...(await lockOf(set))];
      let seen: string[] = [];
      await until(`nothing to be left after ${what}`, 60_000, async () => ((seen = await left()).length === 0 ? true : undefined), { everyMs: 500 }).catch(() => assert.deepEqual(seen, [], what));
      leases = await leasesOn(vault);
    },
    async onItsWay() {
      const stored = async (): Promise<number> => Number((await vault.ok('du', ['-sb', '/var/lib/tidemark-transport'])).split('\t')[0]);
      const first = await stored();
      await until('bytes to arrive', 60_000, async () => ((await stored()) > first + 1.5e6 ? true : undefined), { everyMs: 50 });
    },
    async holdProof() {
      const pid = await until('the database of the proof', 120_000, async () => proofOn(db), { everyMs: 60 });
      process.kill(pid, 'SIGSTOP');
      return () => {
        // It may have died with the services that had started it.
        if (proofOn(db) === pid) process.kill(pid, 'SIGCONT');
      };
    },
    cut,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function slowDown(host: WholeHost): Promise<void> {
  await host.ok('tc', ['qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '200ms']);
}

function proofOn(host: WholeHost): number | undefined {
  return descendants(host.pid()).find((pid) => {
    const words = readText(`/proc/${pid}/cmdline`) ?? '';
    return words.startsWith('/') && words.split('\0')[0]!.endsWith('/mongod') && words.includes('/tidemark-transport/');
  });
}

/** Processes, mounts and task directories beyond those of the oplog's one follower, and the mover that waits for a task. */
async function leftOn(host: WholeHost, name: string): Promise<string[]> {
  const count = async (...words: string[]): Promise<string[]> => (await host.run('sh', ['-c', words.join(' ')])).stdout.split('\n').filter((line) => line !== '');
  const movers = await count("pgrep -f '[/]lib/main/mover' || true");
  const others = await count("pgrep -af '[/]lib/main/(mount|guardian)|[m]ongod.*tidemark-transport' || true");
  const mounts = await count("grep -h fuse /proc/$(pgrep -of 'main/[t]ransport.js')/mountinfo | grep -v fusectl || true");
  const tasks = await count('ls /var/lib/tidemark-transport/tasks');
  return [
    ...(movers.length > 2 ? [`${name}: ${movers.length} movers`] : []),
    ...others.map((line) => `${name}: ${line}`),
    ...mounts.map((line) => `${name}: mounted: ${line}`),
    ...(tasks.length > 1 ? [`${name}: ${tasks.length} task directories`] : []),
  ];
}

async function leasesOn(host: WholeHost): Promise<string[]> {
  return (await host.run('find', [repositoryOn, '-path', '*/leases/*', '!', '-name', 'broken-*'])).stdout.split('\n').filter((line) => line !== '');
}

async function lockOf(set: HostedSet): Promise<string[]> {
  const { fsyncLock } = await set.client.db('admin').command({ currentOp: 1 });
  return fsyncLock === true ? ['the database is locked'] : [];
}

/** No packet in or out of the host until what is answered is called. */
export async function cut(host: WholeHost): Promise<() => Promise<void>> {
  const rules = 'table inet cut {\n chain in { type filter hook input priority -10; policy drop; iifname "lo" accept; }\n chain out { type filter hook output priority -10; policy drop; oifname "lo" accept; }\n}\n';
  await host.ok('nft', ['-f', '-'], { input: rules });
  return async () => void (await host.ok('nft', ['delete', 'table', 'inet', 'cut']));
}

/** A backup as soon as no other one is under way: an alarm may have begun one by itself. */
export async function nextBackup({ platform }: HostedPlatform, what: string, args: readonly string[], withinMs: number): Promise<{ verified: boolean }> {
  return await until('another backup to be over', withinMs, async () => {
    const { code, json, stderr } = await platform.tidemark('backup', 'run', 'rs0', ...args);
    assert.ok(code === 0 || code === 5, `the backup after ${what}: ${stderr}`);
    return code === 0 ? json : undefined;
  }, { everyMs: 1_000 });
}
