/**
 * What 500 hosts that do nothing cost the server: resident memory and processor time a minute, against the same server without
 * them, and the time until all are connected after the server was started. The hosts are simulated in two processes, each with
 * its certificate and its link over real TLS: half are dialled, half dial in. A minute holds one round of the janitor over all
 * hosts and six signs of life for each.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { openClient, type Client } from '../../src/cli/client.ts';
import type { HostKit } from '../../src/contract/routes/hosts.ts';
import { freePort, freePorts } from '../../test/kit/free-port.ts';
import { openPlatform, type Platform } from '../../test/kit/platform.ts';
import { median, round } from './accounting.ts';
import type { IdleHosts } from './idle-hosts.ts';
import { folder, type Measured, type Run } from './run.ts';

const HOSTS = 500;
const PROCESSES = 2;
const MINUTE_MS = 60_000;
const MINUTES = 2;
const CONNECTED_MS = 10 * MINUTE_MS;

type Idle = { readonly rssMiB: number; readonly cpuSecondsPerMinute: number };

export async function benchHosts(run: Run): Promise<Measured> {
  const { stack, say } = run;
  const count = Math.max(2, Math.round(HOSTS * run.scale));
  const platform = stack.use(await openPlatform({ args: ['--hosts', '127.0.0.1', '--enrolment-port', String(await freePort()), '--agent-port', String(await freePort())] }));
  const client = (): Client => openClient({ server: platform.url, token: readFileSync(join(platform.dataDir, 'admin.token'), 'utf8').trim(), ca: readFileSync(join(platform.dataDir, 'ca.pem'), 'utf8') });
  const without = await idle(platform);
  say(`without hosts: ${without.rssMiB} MiB, ${without.cpuSecondsPerMinute} CPU seconds a minute`);

  const startedMs = performance.now();
  const ports = await freePorts(count);
  const kits: HostKit[] = [];
  for (const [k, controlPort] of ports.entries()) kits.push((await client().call('host.add', { body: { name: `idle${k}`, address: '127.0.0.1', controlPort, dials: k % 2 === 0 ? 'server' : 'host' } })).kit);
  const directory = folder(run, 'identities');
  const share = Math.ceil(count / PROCESSES);
  await Promise.all(Array.from({ length: PROCESSES }, async (_, k) => await openIdleHosts(run, { kits: kits.slice(k * share, (k + 1) * share), directory })));
  await allConnected(client, count);
  const enrolSeconds = round((performance.now() - startedMs) / 1000, 1);
  say(`${count} hosts added, enrolled and connected in ${enrolSeconds} s`);

  const withHosts = await idle(platform);
  say(`with ${count} idle hosts: ${withHosts.rssMiB} MiB, ${withHosts.cpuSecondsPerMinute} CPU seconds a minute`);
  const listMs = await listed(client);

  await platform.kill9();
  const restartedMs = performance.now();
  await platform.start();
  const upSeconds = round((performance.now() - restartedMs) / 1000, 1);
  await allConnected(client, count);
  const connectSeconds = round((performance.now() - restartedMs) / 1000, 1);
  say(`after a kill of the server: up in ${upSeconds} s, all connected in ${connectSeconds} s`);
  return {
    ratios: { kib_per_host: round(((withHosts.rssMiB - without.rssMiB) * 1024) / count, 1), connect_seconds: connectSeconds },
    figures: { hosts: count, without, withHosts, enrolSeconds, upSeconds, connectSeconds, listMs, afterRestart: { rssMiB: rssOf(serverOf(platform)) } },
  };
}

async function openIdleHosts(run: Run, job: IdleHosts): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'idle-hosts.ts')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  run.stack.defer(() => void child.kill('SIGKILL'));
  child.send(job);
  await withDeadline('the hosts to be there', CONNECTED_MS, async () => await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('close', (code) => reject(new Error(`the process of the hosts ended with ${code}`)));
  }));
}

async function allConnected(client: () => Client, count: number): Promise<void> {
  await until(`${count} hosts to be connected`, CONNECTED_MS, async () => {
    const { hosts } = await client().call('host.list', { query: {} });
    return hosts.filter(({ name, link }) => name.startsWith('idle') && link === 'connected').length === count ? true : undefined;
  }, { everyMs: 250 });
}

/** The middle of several minutes, the first of which begins when what came before has settled. */
async function idle(platform: Platform): Promise<Idle> {
  const pid = serverOf(platform);
  const wait = async (ms: number): Promise<void> => await systemClock.wait(ms, new AbortController().signal);
  await wait(MINUTE_MS / 2);
  const minutes: number[] = [];
  for (let k = 0; k < MINUTES; k++) {
    const before = cpuSecondsOf(pid);
    await wait(MINUTE_MS);
    minutes.push(cpuSecondsOf(pid) - before);
  }
  return { rssMiB: rssOf(pid), cpuSecondsPerMinute: round(median(minutes)) };
}

async function listed(client: () => Client): Promise<number> {
  const times: number[] = [];
  for (let k = 0; k < 5; k++) {
    const startedMs = performance.now();
    await client().call('host.list', { query: {} });
    times.push(performance.now() - startedMs);
  }
  return round(median(times), 0);
}

function serverOf(platform: Platform): number {
  const [pid] = platform.pids('server');
  if (pid === undefined) throw new Error('no server runs');
  return pid;
}

function rssOf(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024);
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
