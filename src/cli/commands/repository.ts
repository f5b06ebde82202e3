import type { Repository } from '../../contract/routes/repositories.ts';
import { isOpenedStraight, showPlace } from '../../contract/repository-place.ts';
import type { Immutable } from '../../contract/values.ts';
import type { Session } from '../../contract/sessions.ts';
import { chosenRepository } from '../chosen-repository.ts';
import { listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime, showMoment } from '../format.ts';
import { bandwidthFrom, countOf, showBandwidth, showCopies } from '../limit-words.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { readPlace } from '../repository-place.ts';
import { readFileOf } from '../secret-file.ts';
import { showReread } from './repository-reread.ts';
import { showSweeps } from './repository-sweeps.ts';
import { answerWithSession } from '../session-answer.ts';
import { showFields, showTable } from '../table.ts';

export async function addRepository(invocation: Invocation): Promise<ExitCode> {
  const [name, written] = invocation.args as [string, string];
  const gateway = textOf(invocation, 'gateway');
  const node = textOf(invocation, 'node') ?? gateway ?? 'local';
  const place = await readPlace(written, invocation, { isLocal: node === 'local', straight: gateway === undefined });
  if (gateway !== undefined && place.location.kind === 'directory') throw usageOf(invocation, '--gateway is for a share or a bucket; the host of a directory is named with --node');
  const passphrase = await readFileOf('passphrase file', textOf(invocation, 'passphraseFile')!);
  const body = { name, host: node, ...place, passphrase, create: invocation.options['create'] !== false, immutable: immutableFrom(invocation, place.location.kind) };
  const repository = await (await invocation.client()).call('repository.add', { body });
  invocation.answer(repository, () => `repository ${repository.name} in ${showPlace(repository.location)}, ${plural(repository.archives.length, 'archive')}`);
  return exitCodes.done;
}

function immutableFrom(invocation: Invocation, kind: Repository['location']['kind']): Immutable | null {
  const mode = textOf(invocation, 'lockMode');
  const days = numberOf(invocation, 'immutableDays', { from: 1, to: 36_500 });
  if (days === undefined) {
    if (mode !== undefined) throw usageOf(invocation, '--lock-mode goes with --immutable-days');
    return null;
  }
  if (mode !== undefined && kind !== 's3') throw usageOf(invocation, '--lock-mode is for a bucket');
  if (kind === 'smb') throw usageOf(invocation, 'a share cannot be immutable: SMB has no lock that whoever may write could not lift; use a directory of a Linux host, or a bucket with object lock');
  return { days, mode: kind === 's3' ? (mode === 'governance' ? 'governance' : 'compliance') : null };
}

export async function raiseImmutable(invocation: Invocation): Promise<ExitCode> {
  const [name, text] = invocation.args as [string, string];
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 36_500) throw usageOf(invocation, `${text} is not a number of days`);
  const repository = await (await invocation.client()).call('repository.immutable', { params: { repository: name }, body: { days } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showImmutable(repository.immutable)}`);
  return exitCodes.done;
}

function showImmutable(immutable: Immutable | null): string {
  if (immutable === null) return 'no; what is stored can be deleted';
  return `for ${plural(immutable.days, 'day')}${immutable.mode === null ? '' : ` (${immutable.mode})`}`;
}

export async function listRepositories(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('repository.list');
  invocation.answer(answer, () =>
    showTable<Repository>(
      [
        { title: 'REPOSITORY', cell: (row) => `${row.name}${row.isDefault ? ' (default)' : row.isAttached ? ' (read only)' : ''}` },
        { title: 'SETS', cell: (row) => String(row.archives.length), right: true },
        { title: 'POINTS', cell: (row) => String(row.archives.reduce((sum, archive) => sum + archive.points, 0)), right: true },
        { title: 'PLACE', cell: placeOf },
      ],
      answer.repositories,
    ),
  );
  return exitCodes.done;
}

export async function showRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const repository = await client.call('repository.show', { params: { repository: await chosenRepository(invocation, client) } });
  invocation.answer(repository, () => describeRepository(repository, invocation.surroundings.timeZone));
  return exitCodes.done;
}

export async function limitRepository(invocation: Invocation): Promise<ExitCode> {
  const [name, ...words] = invocation.args as string[];
  const body = { limits: bandwidthFrom(invocation, words), copiesAtOnce: countOf(invocation, 'copies', { from: 1, to: 1_000 }), connections: countOf(invocation, 'connections', { from: 2, to: 32 }) };
  const client = await invocation.client();
  const isShown = Object.values(body).every((value) => value === undefined);
  const repository = isShown ? await client.call('repository.show', { params: { repository: name! } }) : await client.call('repository.limit', { params: { repository: name! }, body });
  invocation.answer(repository, () => `repository ${repository.name}: bandwidth ${showBandwidth(repository.limits)}; copies of ${showCopies(repository.copiesAtOnce)}, each over ${repository.connections} connections`);
  return exitCodes.done;
}

export async function setGateways(invocation: Invocation): Promise<ExitCode> {
  const [name, ...through] = invocation.args as string[];
  const hosts = listOf(invocation, 'for');
  const repository = await (await invocation.client()).call('repository.gateway', { params: { repository: name! }, body: { through, hosts: hosts.length === 0 ? null : hosts } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showGateways(repository.gateways)}`);
  return exitCodes.done;
}

function placeOf({ host, location }: Pick<Repository, 'host' | 'location'>): string {
  if (location.kind === 'directory') return `${host === 'local' ? '' : `${host}:`}${location.path}`;
  return `${showPlace(location)}${isOpenedStraight(location) ? '' : ` through ${host}`}`;
}

function showGateways({ through, hosts }: Repository['gateways']): string {
  if (through.length === 0) return 'reached straight';
  return `${hosts === null ? 'other hosts' : hosts.join(', ')} through ${through.join(' or ')}`;
}

function describeRepository(repository: Repository, timeZone: string): string {
  const passphrase = repository.passphraseFile === null ? 'chosen by an operator' : `made up, in ${repository.passphraseFile}: keep a copy elsewhere`;
  const archives = repository.archives.map((archive) => `  ${archive.setName} (${archive.setId})  ${plural(archive.points, 'point')}${archive.isProtected ? '' : ', not protected any more'}`);
  return [
    showFields([
      ['repository', `${repository.name}${repository.isDefault ? ' (default)' : ''}`],
      ['place', placeOf(repository)],
      ['added', showMoment(repository.addedAtMs, timeZone)],
      ['passphrase', passphrase],
      ['immutable', showImmutable(repository.immutable)],
      ['bandwidth', showBandwidth(repository.limits)],
      ['copies', `${showCopies(repository.copiesAtOnce)}, each over ${repository.connections} connections`],
      ['gateways', showGateways(repository.gateways)],
      ['re-read', showReread(repository.reread, timeZone)],
      ['sweep', showSweeps(repository.sweeps, timeZone)],
    ]),
    ...(archives.length === 0 ? ['no archive yet'] : ['archives', ...archives]),
  ].join('\n');
}

export async function checkRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const wanted = invocation.options['readData'];
  const readDataPercent = wanted === true ? 100 : (numberOf(invocation, 'readData', { from: 0, to: 100 }) ?? 0);
  const session = await client.call('repository.check', { params: { repository: await chosenRepository(invocation, client) }, body: { readDataPercent } });
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
  const session = await client.call('repository.sweep', { params: { repository: await chosenRepository(invocation, client) } });
  return await answerWithSession(invocation, client, session, describeSweep);
}

function describeSweep({ result }: Session): string {
  if (result?.kind !== 'sweep') return '';
  const archives = result.archives.map(
    (archive) => `${archive.set}: ${showBytes(archive.freedBytes)} freed, ${plural(archive.deletedPacks, 'pack')} deleted, ${archive.rewrittenPacks} rewritten, ${showBytes(archive.keptBytes)} kept${showRetained(archive)}`,
  );
  const left = result.left.map(({ set, why }) => `${set}: left to the next sweep: ${why}`);
  return [...archives, ...left, `${showBytes(result.freedBytes)} freed`].join('\n');
}

function showRetained({ retainedBytes, retainedUntilMs }: { retainedBytes: number; retainedUntilMs: number | null }): string {
  if (retainedUntilMs === null) return '';
  return `; ${showBytes(retainedBytes)} would go and are retained, the first of it until ${new Date(retainedUntilMs).toISOString()}`;
}
