import type { ComputerOutcome, SetOutcome } from '../../contract/groups.ts';
import type { Session } from '../../contract/sessions.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { answerWithSession } from '../session-answer.ts';
import { showTable } from '../table.ts';

export async function rescanGroup(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const body = { computer: textOf(invocation, 'computer'), set: textOf(invocation, 'set'), reason: textOf(invocation, 'reason') };
  const session = await client.call('group.rescan', { params: { group: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, describeRescan);
}

export function describeRescan({ result }: Session): string {
  if (result?.kind !== 'rescan') return '';
  const computers = showTable<ComputerOutcome>(
    [
      { title: 'COMPUTER', cell: ({ computer }) => computer },
      { title: 'REACHED', cell: ({ way }) => (way === null ? 'no' : way === 'link' ? 'by its link' : 'over SSH') },
      { title: 'SERVICES', cell: ({ services }) => services },
      { title: 'MONGODS', cell: ({ mongods }) => mongods.map(({ port, version }) => `${port} (${version ?? 'unknown'})`).join(', ') || '–' },
      { title: 'SAYS', cell: ({ says }) => says ?? '' },
    ],
    result.computers,
  );
  const words = (outcome: SetOutcome): string[] => [
    `${outcome.set}: ${outcome.ok ? plural(outcome.members, 'member') : `failed: ${outcome.says ?? ''}`}`,
    ...outcome.joined.map((member) => `${outcome.set}: ${member} joined`),
    ...outcome.left.map((member) => `${outcome.set}: ${member} left`),
    ...outcome.changed.map(({ member, what }) => `${outcome.set}: ${member}: ${what}`),
  ];
  return [...(result.computers.length === 0 ? [] : [computers]), ...result.sets.flatMap(words)].join('\n');
}

type Tested = RouteAnswer<'group.test'>;

export async function testGroup(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('group.test', { params: { group: invocation.args[0]! } });
  invocation.answer(answer, () => {
    const rows = [
      ...answer.computers.map((one: Tested['computers'][number]) => ({ what: one.computer, at: one.address, ...one })),
      ...answer.sets.map((one: Tested['sets'][number]) => ({ what: one.set, at: one.seed, ...one })),
    ];
    const table = showTable(
      [
        { title: 'TESTED', cell: ({ what }: (typeof rows)[number]) => what },
        { title: 'AT', cell: ({ at }: (typeof rows)[number]) => at },
        { title: '', cell: ({ ok }: (typeof rows)[number]) => (ok ? 'good' : 'FAILED') },
        { title: 'SAYS', cell: ({ says }: (typeof rows)[number]) => says },
      ],
      rows,
    );
    const hints = [...new Set(rows.flatMap(({ hint }) => (hint === null ? [] : [hint])))];
    return [table, ...hints].join('\n');
  });
  return answer.ok ? exitCodes.done : exitCodes.part;
}
