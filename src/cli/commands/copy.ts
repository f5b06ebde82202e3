import type { RouteAsked } from '../../contract/routes.ts';
import type { Copy } from '../../contract/routes/copies.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime, showMoment } from '../format.ts';
import { durationOf, numberOf, timeOfDay, usageOf } from '../numbers.ts';
import { showMergedOplog } from '../policy-words.ts';
import { answerWithSession } from '../session-answer.ts';
import { showFields, showTable } from '../table.ts';

type Asked = RouteAsked<'copy.add'>['body'];

export async function addCopy(invocation: Invocation): Promise<ExitCode> {
  const body = { set: invocation.args[0]!, to: textOf(invocation, 'to')!, keep: keepFrom(invocation), schedule: scheduleFrom(invocation) };
  const copy = await (await invocation.client()).call('copy.add', { body });
  invocation.answer(copy, () => `${nameOf(copy)}: ${showSchedule(copy)}, ${showKeep(copy)}`);
  return exitCodes.done;
}

function keepFrom(invocation: Invocation): Asked['keep'] {
  const [days, points] = [numberOf(invocation, 'keep', { from: 1, to: 36_500 }), numberOf(invocation, 'keepPoints', { from: 3, to: 100_000 })];
  if (days !== undefined && points !== undefined) throw usageOf(invocation, '--keep and --keep-points exclude each other');
  const oplogDays = numberOf(invocation, 'oplogKeep', { from: 1, to: 36_500 });
  const oplog = oplogDays === undefined ? {} : { oplogDays };
  if (points !== undefined) return { kind: 'points', points, ...oplog };
  return days === undefined && oplogDays === undefined ? undefined : { kind: 'days', days: days ?? 14, ...oplog };
}

function scheduleFrom(invocation: Invocation): Asked['schedule'] {
  const [seconds, at, isImmediate] = [durationOf(invocation, 'every'), textOf(invocation, 'at'), isGiven(invocation, 'immediate')];
  if ([seconds !== undefined, at !== undefined, isImmediate].filter(Boolean).length > 1) throw usageOf(invocation, '--every, --at and --immediate exclude each other');
  if (isImmediate) return { kind: 'immediate' };
  if (at !== undefined) {
    if (!timeOfDay.test(at)) throw usageOf(invocation, `--at takes a time of the day such as 22:00, not "${at}"`);
    return { kind: 'daily', at };
  }
  if (seconds === undefined) return undefined;
  if (seconds < 60 || seconds % 60 !== 0) throw usageOf(invocation, '--every takes whole minutes, at least one');
  return { kind: 'every', minutes: seconds / 60 };
}

export async function listCopies(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('copy.list');
  invocation.answer(answer, () =>
    answer.copies.length === 0
      ? 'no backup copies'
      : showTable<Copy>(
          [
            { title: 'COPY', cell: nameOf },
            { title: 'FROM', cell: (copy) => copy.from },
            { title: 'WHEN', cell: showSchedule },
            { title: 'KEEPS', cell: showKeep },
            { title: 'POINTS', cell: (copy) => String(copy.points), right: true },
            { title: 'LAST RUN', cell: (copy) => showRun(copy, invocation.surroundings.timeZone) },
          ],
          answer.copies,
        ),
  );
  return exitCodes.done;
}

export async function showCopy(invocation: Invocation): Promise<ExitCode> {
  const copy = await (await invocation.client()).call('copy.show', { params: { copy: invocation.args[0]! } });
  invocation.answer(copy, () => describeCopy(copy, invocation.surroundings.timeZone));
  return exitCodes.done;
}

export async function removeCopy(invocation: Invocation): Promise<ExitCode> {
  const copy = await (await invocation.client()).call('copy.remove', { params: { copy: invocation.args[0]! } });
  invocation.answer(copy, () => `${copy.set} is not copied to ${copy.to} any more; ${plural(copy.points, 'copied point')} stay${copy.points === 1 ? 's' : ''} there`);
  return exitCodes.done;
}

export async function runCopy(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('copy.run', { params: { copy: invocation.args[0]! } });
  return await answerWithSession(invocation, client, session, (ended) => describeRun(ended, invocation.surroundings.timeZone));
}

function describeRun({ result }: Session, timeZone: string): string {
  if (result?.kind !== 'copy') return '';
  const { points, failed, deleted, oplog, bytes } = result;
  return [
    `${plural(points.length, 'restore point')} copied to ${result.repository}: ${showBytes(bytes.processed)}, ${showBytes(bytes.read)} read, ${showBytes(bytes.stored)} stored`,
    `${plural(oplog.slices, 'slice')} of oplog${oplog.through === null ? '' : `, through ${showClusterTime(oplog.through, timeZone)}`}`,
    ...failed.map(({ point, why }) => `restore point ${point} was not copied: ${why}`),
    ...oplog.damaged.map(({ object, what }) => `${object}: ${what}`),
    ...(deleted.length === 0 ? [] : [`${plural(deleted.length, 'copied point')} deleted by retention, ${showBytes(result.freedBytes)} freed`]),
    ...showMergedOplog(result.oplogMerged),
  ].join('\n');
}

const nameOf = (copy: Copy): string => `${copy.set}/${copy.to}`;

function showSchedule({ schedule }: Copy): string {
  switch (schedule.kind) {
    case 'manual':
      return 'by hand';
    case 'immediate':
      return 'after each backup';
    case 'daily':
      return `each day at ${schedule.at}`;
    case 'every':
      return `every ${schedule.minutes % 60 === 0 ? `${schedule.minutes / 60} h` : `${schedule.minutes} min`}`;
  }
}

function showKeep({ keep }: Copy): string {
  return `${keep.kind === 'days' ? `${keep.days} days` : `${keep.points} points`}${keep.oplogDays === undefined ? '' : `, oplog ${keep.oplogDays} days`}`;
}

function showRun({ lastRun }: Copy, timeZone: string): string {
  if (lastRun === null) return 'none';
  return `${lastRun.state}${lastRun.endedAtMs === null ? '' : `, ${showMoment(lastRun.endedAtMs, timeZone)}`}${lastRun.says === null ? '' : `: ${lastRun.says}`}`;
}

function describeCopy(copy: Copy, timeZone: string): string {
  return showFields([
    ['copy', `${nameOf(copy)} (${copy.id})`],
    ['from', copy.from],
    ['to', copy.to],
    ['when', showSchedule(copy)],
    ['next run', copy.nextRunAtMs === null ? 'when asked for' : showMoment(copy.nextRunAtMs, timeZone)],
    ['keeps', showKeep(copy)],
    ['points', String(copy.points)],
    ['newest', copy.newest === null ? 'none' : `${copy.newest.id}, ${showClusterTime(copy.newest.top, timeZone)}`],
    ['last run', showRun(copy, timeZone)],
  ]);
}
