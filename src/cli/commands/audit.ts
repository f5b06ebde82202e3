import type { AuditRow } from '../../contract/people.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showMoment } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { showTable } from '../table.ts';

export async function listAudit(invocation: Invocation): Promise<ExitCode> {
  const query = { who: textOf(invocation, 'who'), limit: numberOf(invocation, 'limit', { from: 1, to: 5_000 }), before: numberOf(invocation, 'before', { from: 1, to: Number.MAX_SAFE_INTEGER }) };
  const answer = await (await invocation.client()).call('audit.list', { query });
  const { timeZone } = invocation.surroundings;
  invocation.answer(answer, () =>
    answer.rows.length === 0
      ? 'nothing is in the audit'
      : showTable<AuditRow>(
          [
            { title: 'ROW', cell: ({ number }) => String(number), right: true },
            { title: 'AT', cell: ({ atMs }) => showMoment(atMs, timeZone) },
            { title: 'WHO', cell: ({ who }) => printable(who) },
            { title: 'FROM', cell: ({ from }) => from },
            { title: 'WHAT', cell: ({ what }) => what },
            { title: 'OUTCOME', cell: ({ outcome }) => outcome },
            { title: 'ON', cell: ({ on, reason }) => printable(`${on}${reason === null ? '' : `: ${reason}`}`) },
          ],
          answer.rows,
        ),
  );
  return exitCodes.done;
}

/** What people wrote must not steer a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}

export async function verifyAudit(invocation: Invocation): Promise<ExitCode> {
  const verdict = await (await invocation.client()).call('audit.verify');
  invocation.answer(verdict, () => (verdict.isWhole ? `${plural(verdict.rows, 'row')}, and the chain is whole; head ${verdict.head}` : ['THE AUDIT IS NOT WHOLE', ...verdict.faults.map(({ number, what }) => `row ${number}: ${what}`)].join('\n')));
  return verdict.isWhole ? exitCodes.done : exitCodes.failed;
}
