import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usage } from '../failures.ts';
import { parseAddress, parseNameServer, requireFreePort, type Address } from '../up/address.ts';
import { takeDataDirectory } from '../up/data-directory.ts';
import { openPartLog } from '../up/part-log.ts';
import { localParts, type DepotListen, type HostsListen } from '../up/parts.ts';
import { readyFile, type Ready } from '../up/ready.ts';
import { supervise } from '../up/supervisor.ts';

export async function runUp(invocation: Invocation): Promise<ExitCode> {
  const { surroundings, clock, say } = invocation;
  const listen = parseAddress(textOf(invocation, 'listen') ?? '127.0.0.1:9419', '--listen');
  const transport = parseAddress(textOf(invocation, 'transportListen') ?? '127.0.0.1:6162', '--transport-listen');
  const hosts = hostsListen(invocation);
  const catalog = catalogOf(invocation);
  const nameServers = listOf(invocation, 'dns').map(parseNameServer);
  const path = resolve(textOf(invocation, 'data') ?? surroundings.dataDirectories[0]!);
  const directory = await takeDataDirectory(path, surroundings.processId, async (fd) => await surroundings.tryLock(fd));
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => await directory.close());
  await requireFreePort(listen, '--listen');
  if (catalog === undefined) await requireFreePort(transport, '--transport-listen');
  if (hosts !== undefined) await requireFreePort(hosts.enrolment, '--enrolment-port');
  if (hosts !== undefined) await requireFreePort(hosts.agents, '--agent-port');
  if (hosts?.depot?.isHere === true) await requireFreePort(hosts.depot.api, '--depot-port');
  if (hosts?.depot?.isHere === true) await requireFreePort(hosts.depot.installer, '--installer-port');

  await mkdir(join(path, 'log'), { recursive: true, mode: 0o700 });
  const logs = { server: openPartLog(join(path, 'log/server.log')), transport: openPartLog(join(path, 'log/transport.log')), depot: openPartLog(join(path, 'log/depot.log')) };
  const parts = localParts({ path, listen, transport, hosts, nameServers, catalog, programs: surroundings.programs, logs });
  undo.defer(() => Object.values(logs).forEach((log) => log.close()));
  const supervisor = supervise(parts, { node: surroundings.programs.node, clock, say });

  const asked = Promise.withResolvers<'asked'>();
  let asks = 0;
  const release = surroundings.onInterrupt(() => {
    if (++asks > 1) supervisor.atOnce();
    asked.resolve('asked');
  });
  try {
    const first = await Promise.race([supervisor.ready, asked.promise]);
    if (first === 'asked') return exitCodes.done;
    const ready = readyOf(first, path, listen, transport, surroundings.processId);
    await writeReady(path, ready);
    invocation.terminal.stdout(invocation.json ? `${JSON.stringify(ready)}\n` : `ready: ${ready.url}  data ${path}  token ${ready.tokenFile}\n`);
    await asked.promise;
    say('stopping');
    return exitCodes.done;
  } finally {
    await supervisor.stop();
    release();
    await rm(join(path, readyFile), { force: true });
  }
}

function catalogOf(invocation: Invocation): { url: string; passwordFile: string | undefined; isBackedUp: boolean } | undefined {
  const [url, file] = [textOf(invocation, 'catalog'), textOf(invocation, 'catalogPasswordFile')];
  const refuse = (why: string): never => {
    throw usage({ why, command: 'tidemark up' });
  };
  if (url === undefined) return file === undefined ? undefined : refuse('--catalog-password-file is for --catalog, which is not given');
  // Every user of this machine can read the arguments of a process.
  if (URL.canParse(url) && new URL(url).password !== '') return refuse('--catalog has a password in it; put that into a file and name it with --catalog-password-file');
  return { url, passwordFile: file === undefined ? undefined : resolve(file), isBackedUp: invocation.options['catalogBackedUp'] === true };
}

function hostsListen(invocation: Invocation): HostsListen | undefined {
  const address = textOf(invocation, 'hosts');
  if (address === undefined && textOf(invocation, 'depot') !== undefined) throw usage({ why: '--depot is for hosts, and --hosts is not given', command: 'tidemark up' });
  if (address === undefined) return undefined;
  const at = (option: 'enrolmentPort' | 'agentPort', usual: string): Address => parseAddress(`${address}:${textOf(invocation, option) ?? usual}`, '--hosts');
  return { enrolment: at('enrolmentPort', '10002'), agents: at('agentPort', '10006'), announce: address.replace(/^\[|\]$/g, ''), depot: depotListen(invocation, address) };
}

/** On this machine, unless another address is given for it or it is switched off. */
function depotListen(invocation: Invocation, address: string): DepotListen | undefined {
  if (invocation.options['depot'] === false) return undefined;
  const elsewhere = textOf(invocation, 'depot');
  const installerPort = textOf(invocation, 'installerPort') ?? '11731';
  if (elsewhere !== undefined) {
    const api = parseAddress(elsewhere, '--depot');
    return { isHere: false, api, installer: { host: api.host, port: Number(installerPort) } };
  }
  // Of a distribution server here only the server asks; hosts come to its installer.
  return { isHere: true, api: parseAddress(`127.0.0.1:${textOf(invocation, 'depotPort') ?? '9380'}`, '--depot-port'), installer: parseAddress(`${address}:${installerPort}`, '--installer-port') };
}

function readyOf(said: Record<string, unknown>, path: string, listen: { host: string; port: number }, transport: { host: string; port: number }, pid: number): Ready {
  const server = (said['server'] ?? {}) as { url?: string; tokenFile?: string };
  return {
    url: server.url ?? `https://${showHost(listen.host)}:${listen.port}`,
    tokenFile: server.tokenFile ?? join(path, 'admin.token'),
    caFile: join(path, 'ca.pem'),
    dataDir: path,
    transport: `${showHost(transport.host)}:${transport.port}`,
    pid,
  };
}

async function writeReady(path: string, ready: Ready): Promise<void> {
  const file = join(path, readyFile);
  await writeFile(file, `${JSON.stringify(ready)}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}

function showHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
