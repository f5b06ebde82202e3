import type { Repository } from '../../contract/routes/repositories.ts';
import type { Session } from '../../contract/sessions.ts';
import { resolve } from 'node:path';
import type { Client } from '../client.ts';
import { listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime, showMoment } from '../format.ts';
import { hoursFrom, numberOf, usageOf } from '../numbers.ts';
import { readFileOf } from '../secret-file.ts';
import { answerWithSession } from '../session-answer.ts';
import { showFields, showTable } from '../table.ts';

export async function addRepository(invocation: Invocation): Promise<ExitCode> {
  const [name, directory] = invocation.args as [string, string];
  const passphrase = await readFileOf('passphrase file', textOf(invocation, 'passphraseFile')!);
  const node = textOf(invocation, 'node') ?? 'local';
  const path = node === 'local' ? resolve(directory) : directory;
  const body = { name, host: node, location: { kind: 'directory', path } as const, passphrase, create: invocation.options['create'] !== false };
  const repository = await (await invocation.client()).call('repository.add', { body });
  invocation.answer(repository, () => `repository ${repository.name} in ${repository.location.path}, ${plural(repository.archives.length, 'archive')}`);
  return exitCodes.done;
}

export async function listRepositories(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('repository.list');
  invocation.answer(answer, () =>
    showTable<Repository>(
      [
        { title: 'REPOSITORY', cell: (row) => `${row.name}${row.isDefault ? ' (default)' : row.isAttached ? ' (read only)' : ''}` },
        { title: 'SETS', cell: (row) => String(row.archives.length), right: true },
        { title: 'POINTS', cell: (row) => String(row.archives.reduce((sum, archive) => sum + archive.points, 0)), right: true },
        { title: 'PLACE', cell: (row) => `${row.host === 'local' ? '' : `${row.host}:`}${row.location.path}` },
      ],
      answer.repositories,
    ),
  );
  return exitCodes.done;
}

export async function showRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const repository = await client.call('repository.show', { params: { repository: await nameOf(invocation, client) } });
  invocation.answer(repository, () => describeRepository(repository, invocation.surroundings.timeZone));
  return exitCodes.done;
}

export async function limitRepository(invocation: Invocation): Promise<ExitCode> {
  const [name, ...words] = invocation.args as string[];
  const repository = await (await invocation.client()).call('repository.limit', { params: { repository: name! }, body: { limits: words.map((word) => limitFrom(invocation, word)) } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showLimits(repository.limits)}`);
  return exitCodes.done;
}

export async function setGateways(invocation: Invocation): Promise<ExitCode> {
  const [name, ...through] = invocation.args as string[];
  const hosts = listOf(invocation, 'for');
  const repository = await (await invocation.client()).call('repository.gateway', { params: { repository: name! }, body: { through, hosts: hosts.length === 0 ? null : hosts } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showGateways(repository.gateways)}`);
  return exitCodes.done;
}

function showGateways({ through, hosts }: Repository['gateways']): string {
  if (through.length === 0) return 'reached straight';
  return `${hosts === null ? 'other hosts' : hosts.join(', ')} through ${through.join(' or ')}`;
}

type Limit = Repository['limits'][number];

/** `200`, or `50@08:00-18:00`. */
function limitFrom(invocation: Invocation, word: string): Limit {
  const [rate = '', hours = '00:00-00:00', ...more] = word.split('@');
  const [mbitPerSecond, held] = [/^\d+(\.\d+)?$/.test(rate) ? Number(rate) : 0, hoursFrom(hours)];
  if (!(mbitPerSecond > 0) || held === undefined || more.length > 0) throw usageOf(invocation, `a limit is Mbit/s above 0, with hours behind an @ if it does not hold all day, such as 200 or 50@08:00-18:00, not "${word}"`);
  return { mbitPerSecond, ...held };
}

function showLimits(limits: readonly Limit[]): string {
  if (limits.length === 0) return 'data of other hosts is not limited';
  return limits.map(({ mbitPerSecond, from, to }) => `${mbitPerSecond} Mbit/s${from === to ? '' : ` from ${from} to ${to}`}`).join(', ');
}

function describeRepository(repository: Repository, timeZone: string): string {
  const passphrase = repository.passphraseFile === null ? 'chosen by an operator' : `made up, in ${repository.passphraseFile}: keep a copy elsewhere`;
  const archives = repository.archives.map((archive) => `  ${archive.setName} (${archive.setId})  ${plural(archive.points, 'point')}${archive.isProtected ? '' : ', not protected any more'}`);
  return [
    showFields([
      ['repository', `${repository.name}${repository.isDefault ? ' (default)' : repository.isAttached ? ' (attached: it is only read)' : ''}`],
      ['place', `${repository.host === 'local' ? '' : `${repository.host}:`}${repository.location.path}`],
      ['added', showMoment(repository.addedAtMs, timeZone)],
      ['passphrase', passphrase],
      ['limits', showLimits(repository.limits)],
      ['gateways', showGateways(repository.gateways)],
    ]),
    ...(archives.length === 0 ? ['no archive yet'] : ['archives', ...archives]),
  ].join('\n');
}

/** The one named, else the default one. */
export async function nameOf(invocation: Invocation, client: Client): Promise<string> {
  const [name] = invocation.args;
  if (name !== undefined) return name;
  const { repositories } = await client.call('repository.list');
  const chosen = repositories.find((repository) => repository.isDefault) ?? (repositories.length === 1 ? repositories[0] : undefined);
  if (chosen === undefined) throw usageOf(invocation, 'there is no default repository; name one');
  return chosen.name;
}

export async function checkRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const wanted = invocation.options['readData'];
  const readDataPercent = wanted === true ? 100 : (numberOf(invocation, 'readData', { from: 0, to: 100 }) ?? 0);
  const session = await client.call('repository.check', { params: { repository: await nameOf(invocation, client) }, body: { readDataPercent } });
  return await answerWithSession(invocation, client, session, (ended) => describeCheck(ended, invocation.surroundings.timeZone));
}

function describeCheck({ result }: Session, timeZone: string): string {
  if (result?.kind !== 'check') return '';
  const archives = result.archives.flatMap((archive) => [
    `${archive.set}: ${archive.ok ? 'whole' : 'DAMAGED'}, ${plural(archive.points, 'point')}, ${plural(archive.chunks, 'chunk')} in ${plural(archive.packs, 'pack')}, ${showBytes(archive.readBytes)} read back`,
    ...archive.damage.map((damage) => `  ${damage.object}: ${damage.what}`),
    ...archive.hurtPoints.map((point) => `  restore point ${point} cannot be trusted`),
    ...archive.hurtOplog.map((span) => `  oplog after ${showClusterTime(span.after, timeZone)} through ${showClusterTime(span.through, timeZone)} cannot be read`),
  ]);
  return [...archives, result.ok ? 'the repository is whole' : 'the repository is DAMAGED; nothing was repaired'].join('\n');
}

export async function sweepRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('repository.sweep', { params: { repository: await nameOf(invocation, client) } });
  return await answerWithSession(invocation, client, session, describeSweep);
}

function describeSweep({ result }: Session): string {
  if (result?.kind !== 'sweep') return '';
  const archives = result.archives.map(
    (archive) => `${archive.set}: ${showBytes(archive.freedBytes)} freed, ${plural(archive.deletedPacks, 'pack')} deleted, ${archive.rewrittenPacks} rewritten, ${showBytes(archive.keptBytes)} kept`,
  );
  return [...archives, `${showBytes(result.freedBytes)} freed`].join('\n');
}
