import { writeFile } from 'node:fs/promises';
import { packagePlatform } from '../../contract/packages.ts';
import { hostFilter, type Host, type HostKit } from '../../contract/routes/hosts.ts';
import type { Client } from '../client.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { nodeUnknown, usage } from '../failures.ts';
import { showMoment } from '../format.ts';
import { showBandwidth, showCopies } from '../limit-words.ts';
import { showFields, showTable } from '../table.ts';
import { keepWindowsKit } from './windows-kit.ts';

export async function listNodes(invocation: Invocation): Promise<ExitCode> {
  const filter = hostFilter.optional().parse(textOf(invocation, 'filter'));
  const answer = await (await invocation.client()).call('host.list', { query: { filter } });
  invocation.answer(answer, () => {
    const found = answer.found.map(({ name, address, group, isInScope, says }) => [name, address, '–', '–', 'found', '–', '–', says ?? `in group ${group}${isInScope ? '' : ', out of scope'}`]);
    const rows = [...answer.hosts.map(rowOf), ...found];
    const alarms = answer.alarms.map(({ host, place, atMs, says }) => `\nalarm, warden of ${host}${place === null ? '' : `, ${place}`}, ${showMoment(atMs, invocation.surroundings.timeZone)}: ${says}`);
    return rows.length === 0 ? 'there is none' : showTable<string[]>(['NODE', 'ADDRESS', 'RUNS', 'DATA PORTS', 'STATE', 'DEPLOYER', 'VERSION', 'SAYS'].map((title, at) => ({ title, cell: (row) => row[at]! })), rows) + alarms.join('');
  });
  return exitCodes.done;
}

function rowOf(host: Host): string[] {
  return [
    host.name,
    host.dials === 'host' ? `${host.address} (dials in)` : `${host.address}:${host.controlPort}`,
    platformOf(host),
    `${host.dataFrom}–${host.dataTo}`,
    host.state === 'expected' ? 'expected' : host.link,
    host.deployer === null ? 'none' : host.deployer.link,
    `${host.version ?? '–'}${host.outOfDate ? ' (out of date)' : ''}`,
    host.says ?? host.deployer?.says ?? '',
  ];
}

function platformOf({ platform }: Host): string {
  return platform === null ? 'not known yet' : { linux: 'Linux', windows: 'Windows' }[platform];
}

export async function findNode(client: Client, name: string): Promise<Host> {
  const host = (await client.call('host.list', { query: {} })).hosts.find((one) => one.name === name || one.id === name);
  if (host === undefined) throw nodeUnknown({ node: name });
  return host;
}

export async function showNode(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const host = await findNode(await invocation.client(), name);
  const { deployer } = host;
  const standing = (link: string, port: number, version: string | null, says: string | null): string => `${link}, port ${port}${version === null ? '' : `, version ${version}`}${says === null ? '' : `: ${says}`}`;
  invocation.answer(host, () =>
    showFields([
      ['node', host.name],
      ['address', host.address],
      ['runs', platformOf(host)],
      ['link opened by', host.dials === 'host' ? 'the host' : 'the server'],
      ['transport', host.state === 'expected' ? 'expected' : standing(host.link, host.controlPort, host.version, host.says)],
      ['deployer', deployer === null ? 'none has enrolled' : standing(deployer.link, host.deployerPort, deployer.version, deployer.says)],
      ['up to date', host.outOfDate ? 'no: run "tidemark node update"' : 'yes'],
      ['data ports', `${host.dataFrom}–${host.dataTo}`],
      ['bandwidth', showBandwidth(host.limits)],
      ['copies', showCopies(host.copiesAtOnce)],
      ['added', showMoment(host.addedAtMs, invocation.surroundings.timeZone)],
    ]),
  );
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
    platform: isGiven(invocation, 'windows') ? ('windows' as const) : null,
  };
  const { host, kit } = await (await invocation.client()).call('host.add', { body });
  const file = textOf(invocation, 'kit');
  if (file !== undefined) await keepKit(kit, file);
  invocation.answer({ host, kit: file ?? null }, () => `${host.name} is expected${file === undefined ? '' : `; its kit is in ${file}, good for a day`}\nNext: tidemark node install ${host.name} --credential NAME`);
  return exitCodes.done;
}

export async function writeKit(invocation: Invocation): Promise<ExitCode> {
  const [kitFile, installerFile] = [textOf(invocation, 'kit'), textOf(invocation, 'installer')];
  if ((kitFile === undefined) === (installerFile === undefined)) throw usage({ why: 'give --kit or --installer, and not both', command: 'tidemark node kit' });
  return kitFile === undefined ? await writeInstaller(invocation, installerFile!) : await writeKitFile(invocation, kitFile);
}

async function writeKitFile(invocation: Invocation, file: string): Promise<ExitCode> {
  const body = { part: (textOf(invocation, 'part') ?? null) as HostKit['part'] };
  const kit = await (await invocation.client()).call('host.kit', { params: { host: invocation.args[0]! }, body });
  await keepKit(kit, file);
  invocation.answer({ host: kit.host, kit: file, expiresAtMs: kit.expiresAtMs }, () => `a new kit for ${kit.host} is in ${file}, good for a day`);
  return exitCodes.done;
}

async function writeInstaller(invocation: Invocation, file: string): Promise<ExitCode> {
  const body = { platform: packagePlatform.parse(textOf(invocation, 'platform') ?? 'linux-x64') };
  const { host, program, version, expiresAtMs, carried } = await (await invocation.client()).call('host.installer', { params: { host: invocation.args[0]! }, body });
  if (carried !== null) {
    await keepWindowsKit(invocation, file, { program, ...carried });
    invocation.answer({ host, installer: file, version, expiresAtMs }, () => `the installer of tidemark-deployer ${version} for ${host} is the folder ${file}, good for a day\nNext: carry it to ${host}, run install.cmd in it as an administrator, then "tidemark node install ${host}"`);
    return exitCodes.done;
  }
  await keepSecret(file, program, 0o700, `the installer cannot be written to ${file}`);
  invocation.answer({ host, installer: file, version, expiresAtMs }, () => `the installer of tidemark-deployer ${version} for ${host} is in ${file}, good for an hour\nNext: run it on ${host} as root, then "tidemark node install ${host}"`);
  return exitCodes.done;
}

export async function removeNode(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const asked = { params: { host: name }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } } as const;
  const answer = await (await invocation.client()).call('host.remove', asked);
  invocation.answer(answer, () => (answer.applied ? `${name} was removed` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}

async function keepKit(kit: HostKit, path: string): Promise<void> {
  await keepSecret(path, `${JSON.stringify(kit, undefined, 2)}\n`, 0o600, `the kit cannot be written to ${path}; make another with "tidemark node kit ${kit.host}"`);
}

/** Never over a file that is there: it may be somebody's. */
async function keepSecret(path: string, text: string, mode: number, sentence: string): Promise<void> {
  try {
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'it is there already' : (error as Error).message;
    throw usage({ why: `${sentence}: ${why}`, command: 'tidemark node kit' });
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
