/** A restored data directory, started as the restore's own command says, but without TTL: deletes of later than the moment would look like losses. */
import { spawn } from 'node:child_process';
import type { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { openClient } from '../../src/mongo/connect.ts';

const quiet = ['--nounixsocket', '--setParameter', 'ttlMonitorEnabled=false', '--setParameter', 'disableLogicalSessionCacheRefresh=true', '--wiredTigerCacheSizeGB', '0.25'];

export async function openRestored(binary: string, [, ...args]: readonly string[], port: number): Promise<AsyncDisposable & { readonly client: MongoClient }> {
  await using stack = new AsyncDisposableStack();
  const member = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, ...args, ...quiet], { stdio: 'ignore' });
  stack.defer(async () => {
    const ended = new Promise((resolve) => member.once('exit', resolve));
    if (member.kill('SIGKILL')) await ended;
  });
  const host = { host: '127.0.0.1', port };
  const client = stack.use(await openClient({ hosts: [host] }, { member: host, deadlineMs: 60_000, silenceMs: null }));
  await until('the restored member to be primary', 60_000, async () => ((await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined));
  const kept = stack.move();
  return { client, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}
