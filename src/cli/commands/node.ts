import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { hostFilter, type HostKit } from '../../contract/routes/hosts.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usage } from '../failures.ts';
import { answerWithSession } from '../session-answer.ts';
import { showTable } from '../table.ts';

export async function listNodes(invocation: Invocation): Promise<ExitCode> {
  const filter = hostFilter.optional().parse(textOf(invocation, 'filter'));
  const answer = await (await invocation.client()).call('host.list', { query: { filter } });
  invocation.answer(answer, () => {
    const hosts = answer.hosts.map((host) => [host.name, host.dials === 'host' ? `${host.address} (dials in)` : `${host.address}:${host.controlPort}`, `${host.dataFrom}–${host.dataTo}`, host.state === 'expected' ? 'expected' : host.link, host.serviceVersion ?? '–', host.says ?? '']);
    const found = answer.found.map(({ name, address, group, isInScope, says }) => [name, address, '–', 'found', '–', says ?? `in group ${group}${isInScope ? '' : ', out of scope'}`]);
    if (hosts.length + found.length === 0) return 'there is none';
    return showTable<string[]>(['NODE', 'ADDRESS', 'DATA PORTS', 'STATE', 'VERSION', 'SAYS'].map((title, at) => ({ title, cell: (row) => row[at]! })), [...hosts, ...found]);
  });
  return exitCodes.done;
}

export async function addNode(invocation: Invocation): Promise<ExitCode> {
  const [name, address] = invocation.args as [string, string];
  const [dataFrom, dataTo] = rangeOf(textOf(invocation, 'dataPorts') ?? '2500-3300');
  const body = {
    name,
    address,
    controlPort: portOf(textOf(invocation, 'controlPort') ?? '6162', '--control-port'),
    deployerPort: portOf(textOf(invocation, 'deployerPort') ?? '6160', '--deployer-port'),
    dataFrom,
    dataTo,
    dials: isGiven(invocation, 'dialsIn') ? ('host' as const) : ('server' as const),
  };
  const { host, kit } = await (await invocation.client()).call('host.add', { body });
  await keepKit(kit, textOf(invocation, 'kit')!);
  invocation.answer({ host, kit: textOf(invocation, 'kit') }, () => `${host.name} is expected; its kit is in ${textOf(invocation, 'kit')}, good for a day\nNext, on ${host.name}: tidemark-transport --kit FILE`);
  return exitCodes.done;
}

export async function writeKit(invocation: Invocation): Promise<ExitCode> {
  const kit = await (await invocation.client()).call('host.kit', { params: { host: invocation.args[0]! } });
  await keepKit(kit, textOf(invocation, 'kit')!);
  invocation.answer({ host: kit.host, kit: textOf(invocation, 'kit'), expiresAtMs: kit.expiresAtMs }, () => `a new kit for ${kit.host} is in ${textOf(invocation, 'kit')}, good for a day`);
  return exitCodes.done;
}

export async function installNode(invocation: Invocation): Promise<ExitCode> {
  const body = { credential: textOf(invocation, 'credential')!, package: resolve(textOf(invocation, 'package')!) };
  const client = await invocation.client();
  const session = await client.call('host.install', { params: { host: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, ({ result }) => (result?.kind === 'deploy' ? `${result.host} runs the transport service (${result.platform}) and is connected; its SSH key is ${result.hostKey}` : ''));
}

export async function removeNode(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const asked = { params: { host: name }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } } as const;
  const answer = await (await invocation.client()).call('host.remove', asked);
  invocation.answer(answer, () => (answer.applied ? `${name} was removed` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}

/** Never over a file that is there: it may be somebody's. */
async function keepKit(kit: HostKit, path: string): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(kit, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'it is there already' : (error as Error).message;
    throw usage({ why: `the kit cannot be written to ${path}: ${why}; make another with "tidemark node kit ${kit.host}"`, command: 'tidemark node kit' });
  }
}

function portOf(text: string, option: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) throw usage({ why: `${option} ${text} is not a port`, command: 'tidemark node add' });
  return port;
}

function rangeOf(text: string): [number, number] {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || from < 1 || to > 65535 || from > to) throw usage({ why: `--data-ports ${text} is not FROM-TO`, command: 'tidemark node add' });
  return [from, to];
}
