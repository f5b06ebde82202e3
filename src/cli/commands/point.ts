import type { RouteAnswer } from '../../contract/routes.ts';
import type { Point } from '../../contract/routes/points.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime, showCount, showMoment, showSeconds } from '../format.ts';
import { pointTable, showDepth } from '../point-table.ts';
import { answerWithSession } from '../session-answer.ts';
import { showFields } from '../table.ts';

export async function listPoints(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('point.list', { query: { set: invocation.args[0] } });
  invocation.answer(answer, () => (answer.points.length === 0 ? 'no restore points' : pointTable(answer.points, invocation.surroundings.timeZone)));
  return exitCodes.done;
}

export async function showPoint(invocation: Invocation): Promise<ExitCode> {
  const point = await (await invocation.client()).call('point.show', { params: { point: invocation.args[0]! } });
  invocation.answer(point, () => describePoint(point, invocation.surroundings.timeZone));
  return exitCodes.done;
}

function describePoint(point: Point, timeZone: string): string {
  const { bytes, proof } = point;
  return showFields([
    ['point', point.id],
    ['set', `${point.setName} (${point.setId})`],
    ['moment', showClusterTime(point.top, timeZone)],
    ['earliest', showClusterTime(point.checkpoint, timeZone)],
    ['made', showMoment(point.createdAtMs, timeZone)],
    ['copied', `${point.copied === null ? '' : `${point.copied}, `}by ${point.method} from ${point.source}`],
    ...(point.copiedFrom === null ? [] : [['copied from', `${point.copiedFrom.point} in ${point.copiedFrom.repositoryName}`] as const]),
    ['MongoDB', `${point.mongoVersion}, compatibility ${point.featureCompatibilityVersion}`],
    ['files', `${showCount(point.files)}, ${showBytes(bytes.processed)}`],
    ['read', showBytes(bytes.read)],
    ['new', `${showBytes(bytes.transferred)}, ${showBytes(bytes.stored)} stored`],
    ['repository', `${point.repository}${point.lost ? ' (does not have it any more)' : point.hurt ? ' (its manifest there is damaged)' : ''}`],
    ['proof', proof === null ? 'none' : `${proof.ok ? 'verified' : 'FAILED'} ${showMoment(proof.atMs, timeZone)}, ${showDepth(proof)}: ${proof.says}`],
    ...(proof?.checks ?? []).map(({ name, ok, says }) => ['check', `"${name}" ${ok ? 'holds' : 'FAILED'}: ${says}`] as const),
    ['hold', point.hold === null ? 'no' : `${point.hold.reason} (since ${showMoment(point.hold.sinceMs, timeZone)})`],
  ]);
}

export async function verifyPoint(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const body = { level: isGiven(invocation, 'full') ? 'full' : 'open', at: textOf(invocation, 'at') ?? null, repository: textOf(invocation, 'repository') } as const;
  const session = await client.call('point.verify', { params: { point: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, (ended) => describeProof(ended, invocation.surroundings.timeZone));
}

function describeProof({ result }: Session, timeZone: string): string {
  if (result?.kind !== 'verify') return '';
  const counted = result.collections.filter((collection) => collection.counted);
  const documents = counted.reduce((sum, collection) => sum + collection.documents, 0);
  const unseen = result.collections.length - counted.length;
  const validated = result.collections.filter((collection) => collection.validated).length;
  const hashes = Object.entries(result.dbHash ?? {}).map(([name, hash]) => `  ${hash}  ${name}`);
  return [
    `point ${result.point} opened at ${showClusterTime(result.at, timeZone)} in ${showSeconds(result.seconds)} (${result.mount})`,
    `${plural(result.collections.length, 'collection')}, ${plural(documents, 'document')} counted${unseen === 0 ? '' : ` (${plural(unseen, 'collection')} by metadata only)`}, ${validated} validated`,
    ...(result.checks ?? []).map(({ name, says }) => `check "${name}" holds: ${says}`),
    ...(hashes.length === 0 ? [] : ['dbHash', ...hashes]),
  ].join('\n');
}

export async function holdPoint(invocation: Invocation): Promise<ExitCode> {
  const asked = { params: { point: invocation.args[0]! }, body: { reason: textOf(invocation, 'reason')! } };
  const point = await (await invocation.client()).call('point.hold', asked);
  invocation.answer(point, () => `${point.id} is held`);
  return exitCodes.done;
}

export async function releasePoint(invocation: Invocation): Promise<ExitCode> {
  const point = await (await invocation.client()).call('point.release', { params: { point: invocation.args[0]! } });
  invocation.answer(point, () => (point.wasHeld ? `${point.id} is released` : `${point.id} was not held: nothing changed`));
  return exitCodes.done;
}

export async function deletePoints(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('point.delete', { body: { points: [...invocation.args], apply: isGiven(invocation, 'apply') } });
  invocation.answer(answer, () => describeDeletion(answer, invocation.surroundings.timeZone));
  if (!answer.applied || answer.refused.length === 0) return exitCodes.done;
  if (answer.deleted.length > 0) return exitCodes.part;
  return answer.refused.every(({ why }) => /\bheld\b|\bhold\b/.test(why)) ? exitCodes.notAllowed : exitCodes.busy;
}

function describeDeletion(answer: RouteAnswer<'point.delete'>, timeZone: string): string {
  const refused = answer.refused.map(({ point, why }) => `${point} stays: ${why}`);
  const lost = answer.momentsLost.map((span) => `no longer reachable: after ${showClusterTime(span.after, timeZone)} through ${showClusterTime(span.through, timeZone)}`);
  if (answer.applied) {
    const space = answer.deleted.length === 0 ? [] : ['Space comes back at the next "tidemark repository sweep".'];
    return [...answer.deleted.map((point) => `${point} deleted`), ...refused, ...lost, ...space].join('\n');
  }
  const goes = answer.points.length === 0 ? ['nothing would be deleted'] : ['would be deleted', pointTable(answer.points, timeZone)];
  return [...goes, ...refused, ...lost, 'Nothing was changed; add --apply to do it.'].join('\n');
}
