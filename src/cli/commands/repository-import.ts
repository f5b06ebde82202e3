import { basename } from 'node:path';
import { showPlace } from '../../contract/repository-place.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime } from '../format.ts';
import { readPlace } from '../repository-place.ts';
import { readFileOf } from '../secret-file.ts';
import { answerWithSession } from '../session-answer.ts';
import { chosenRepository } from '../chosen-repository.ts';

export async function importRepository(invocation: Invocation): Promise<ExitCode> {
  const [written] = invocation.args as [string];
  const passphrase = await readFileOf('passphrase file', textOf(invocation, 'passphraseFile')!);
  const node = textOf(invocation, 'node') ?? 'local';
  const place = await readPlace(written, invocation, { isLocal: node === 'local', straight: true });
  const body = { name: textOf(invocation, 'name') ?? basename(showPlace(place.location)), host: node, ...place, passphrase };
  const repository = await (await invocation.client()).call('repository.import', { body });
  const sets = repository.archives.map(({ setName, points }) => `  ${setName}: ${plural(points, 'point')}`);
  invocation.answer(repository, () => [`repository ${repository.name} in ${showPlace(repository.location)} is attached read-only, ${plural(repository.archives.length, 'archive')}`, ...sets].join('\n'));
  return exitCodes.done;
}

export async function adoptRepository(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('repository.adopt', { params: { repository: invocation.args[0]! }, body: { apply: isGiven(invocation, 'apply') } });
  const done = answer.applied ? [] : ['Nothing was changed; add --apply to do it.'];
  invocation.answer(answer, () => [...(answer.plan.length === 0 ? [`repository ${answer.repository} is this server's own, and no set would move`] : answer.plan), ...done].join('\n'));
  return exitCodes.done;
}

export async function repairRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('repository.repair', { params: { repository: await chosenRepository(invocation, client) }, body: { from: textOf(invocation, 'from') ?? null } });
  return await answerWithSession(invocation, client, session, (ended) => describeRepair(ended, invocation.surroundings.timeZone));
}

function describeRepair({ result }: Session, timeZone: string): string {
  if (result?.kind !== 'repair') return '';
  const archives = result.archives.flatMap((archive) => [
    `${archive.set}: ${archive.objects.length === 0 ? 'nothing was damaged' : archive.ok ? 'whole again' : 'still DAMAGED'}, ${showBytes(archive.storedBytes)} stored`,
    ...archive.objects.map(({ object, what, healed, by }) => `  ${object}: ${what}; ${healed ? 'healed' : 'NOT healed'}: ${by}`),
    ...archive.wholeAgain.map((point) => `  restore point ${point} is whole again`),
    ...archive.stillHurt.map((point) => `  restore point ${point} is still hurt`),
    ...archive.hurtOplog.map((span) => `  oplog after ${showClusterTime(span.after, timeZone)} through ${showClusterTime(span.through, timeZone)} cannot be read`),
  ]);
  return [...archives, result.ok ? 'the repository is whole' : 'the repository is still DAMAGED'].join('\n');
}
