import { writeFile } from 'node:fs/promises';
import type { Report, SetStanding } from '../../contract/reports.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showMoment } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { showTable } from '../table.ts';

type Answer = { readonly report: Report; readonly html: string | null };

export async function dailyReport(invocation: Invocation): Promise<ExitCode> {
  const hours = numberOf(invocation, 'hours', { from: 1, to: 24 * 31 }) ?? 24;
  const answer = await (await invocation.client()).call('report.daily', { query: { hours: Math.floor(hours), html: wantsHtml(invocation) } });
  await showReport(invocation, answer);
  return answer.report.sets.every(({ isProtected }) => isProtected) ? exitCodes.done : exitCodes.part;
}

export async function sessionReport(invocation: Invocation): Promise<ExitCode> {
  await showReport(invocation, await (await invocation.client()).call('report.session', { params: { session: invocation.args[0]! }, query: { html: wantsHtml(invocation) } }));
  return exitCodes.done;
}

const wantsHtml = (invocation: Invocation): 'true' | 'false' => (textOf(invocation, 'html') === undefined ? 'false' : 'true');

async function showReport(invocation: Invocation, { report, html }: Answer): Promise<void> {
  const file = textOf(invocation, 'html');
  if (file !== undefined && html !== null) await writeFile(file, html);
  invocation.answer(report, () => describeReport(report, invocation.surroundings.timeZone));
}

function describeReport({ sets, sessions, steps, bytes, isCut }: Report, timeZone: string): string {
  const table = showTable<SetStanding>(
    [
      { title: 'SET', cell: (row) => row.set },
      { title: 'PROTECTED', cell: (row) => (row.isProtected ? 'yes' : `NO: ${row.reasons.join('; ')}`) },
      { title: 'LAST POINT', cell: (row) => (row.lastPointAtMs === null ? 'none' : showMoment(row.lastPointAtMs, timeZone)) },
      { title: 'LOSS NOW', cell: (row) => (row.lossIfDisasterNowSeconds === null ? 'everything' : `${row.lossIfDisasterNowSeconds} s of ${row.promisedLossSeconds} s`) },
      { title: 'SIZE', cell: (row) => (row.bytes === null ? '' : showBytes(row.bytes)) },
      { title: 'VERIFIED', cell: (row) => (row.verified === null ? 'never' : showMoment(row.verified.atMs, timeZone)) },
      { title: 'IN FULL', cell: ({ fullyVerified }) => showFull(fullyVerified, timeZone) },
    ],
    sets,
  );
  const ended = sessions.map(({ id, kind, isPlan, object, state, failure }) => `${id}  ${kind}${isPlan ? ' (plan)' : ''} of ${object}: ${state}${failure === null ? '' : `: ${failure.message}  [${failure.code}]`}`);
  return [
    ...(sets.length === 0 ? ['no set is protected'] : [table]),
    '',
    `${isCut ? 'more than ' : ''}${plural(sessions.length, 'session')} ended`,
    ...ended,
    ...steps.map(({ name, seconds }) => `  ${name}${seconds === null ? '' : `: ${seconds.toFixed(1)} s`}`),
    ...(bytes === null ? [] : [`${showBytes(bytes.processed)} processed, ${showBytes(bytes.read)} read, ${showBytes(bytes.stored)} stored`]),
  ].join('\n');
}

function showFull(full: SetStanding['fullyVerified'], timeZone: string): string {
  if (full === null) return 'never';
  const checks = full.checks === 0 ? '' : `, ${plural(full.checks, 'check')}`;
  return `${full.ok ? 'good' : 'FAILED'}, ${showMoment(full.atMs, timeZone)}${checks}${full.failed.length === 0 ? '' : `: ${full.failed.join(', ')}`}`;
}
