import type { RouteAnswer } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showBytes, showClusterTime, showMoment } from '../format.ts';
import { showMergedOplog, showOplogRule, showRetention } from '../policy-words.ts';
import { answerWithSession } from '../session-answer.ts';
import { showTable } from '../table.ts';

export async function previewRetention(invocation: Invocation): Promise<ExitCode> {
  const plan = await (await invocation.client()).call('retention.preview', { params: { set: invocation.args[0]! } });
  const { timeZone } = invocation.surroundings;
  invocation.answer(plan, () => {
    const rows = [...plan.goes.map((point) => ({ ...point, says: 'goes' })), ...plan.stays.map((point) => ({ ...point, says: `stays: ${point.why.join('; ')}` }))].sort((a, b) => a.createdAtMs - b.createdAtMs);
    const head = `${plural(plan.goes.length, 'point')} would go, ${plan.stays.length} stay, by ${plan.rules.join(', ') || 'no rule: nothing goes'}`;
    const oplog = describeOplog(plan.oplog, timeZone);
    return rows.length === 0 ? `${head}\n${oplog}` : `${head}\n${showTable([{ title: 'POINT', cell: (row) => row.point }, { title: 'MADE', cell: (row) => showMoment(row.createdAtMs, timeZone) }, { title: 'SAYS', cell: (row) => row.says }], rows)}\n${oplog}`;
  });
  return exitCodes.done;
}

function describeOplog({ rule, goes, retainedBytes, retainedUntilMs, says }: RouteAnswer<'retention.preview'>['oplog'], timeZone: string): string {
  const head = says !== null ? `all of the archived oplog stays: ${says}` : `archived oplog, ${rule === null ? 'all of it' : showOplogRule(rule)}: ${goes.length === 0 ? 'nothing would go' : `${showBytes(goes.reduce((sum, { bytes }) => sum + bytes, 0))} would go`}`;
  const lines = goes.map(({ after, through, bytes }) => `  after ${showClusterTime(after, timeZone)} through ${showClusterTime(through, timeZone)}: ${showBytes(bytes)}`);
  const locked = retainedUntilMs === null ? [] : [`  ${showBytes(retainedBytes)} are locked, the first of them until ${showMoment(retainedUntilMs, timeZone)}`];
  return [head, ...lines, ...locked].join('\n');
}

export async function applyRetention(invocation: Invocation): Promise<ExitCode> {
  if (invocation.options['apply'] !== true) return await previewRetention(invocation);
  const client = await invocation.client();
  const session = await client.call('retention.run', { params: { set: invocation.args[0]! } });
  return await answerWithSession(invocation, client, session, describeRetention);
}

function describeRetention({ result }: Session): string {
  if (result?.kind !== 'retention') return '';
  return [`${plural(result.deleted.length, 'point')} deleted, ${showBytes(result.freedBytes)} freed, ${showBytes(result.oplogBytes)} of it oplog`, ...(result.oplogWaiting === 0 ? [] : [`${plural(result.oplogWaiting, 'stretch', 'stretches')} of oplog wait for sessions that may read them`]), ...showMergedOplog(result.oplogMerged), ...result.refused.map(({ point, why }) => `${point} stays: ${why}`)].join('\n');
}

export async function listOrphans(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('retention.orphans');
  invocation.answer(answer, () =>
    answer.orphans.length === 0
      ? 'no set is without its policy'
      : showTable([{ title: 'SET', cell: (row) => row.set }, { title: 'POLICY', cell: (row) => row.policy }, { title: 'KEEPS', cell: (row) => showRetention(row.retention) }, { title: 'SINCE', cell: (row) => showMoment(row.sinceMs, invocation.surroundings.timeZone) }], answer.orphans),
  );
  return exitCodes.done;
}

export async function forgetOrphan(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('retention.forget', { params: { set: invocation.args[0]! } });
  invocation.answer(answer, () => `the points of ${answer.set} stay until somebody deletes them`);
  return exitCodes.done;
}
