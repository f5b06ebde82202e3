import { showTime } from '../../base/cluster-time.ts';
import type { RouteAsked } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { textOf, type Invocation } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { plural, showCount, showMoment } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { answerWithSession, sessionDocument } from '../session-answer.ts';
import { showTable } from '../table.ts';

type Found = Extract<NonNullable<Session['result']>, { kind: 'oplog-find' }>;

export async function findOperations(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('oplog.find', {
    params: { set: invocation.args[0]! },
    body: {
      ns: textOf(invocation, 'ns') ?? null,
      op: (textOf(invocation, 'op') ?? null) as RouteAsked<'oplog.find'>['body']['op'],
      match: textOf(invocation, 'match') ?? null,
      since: textOf(invocation, 'since') ?? null,
      until: textOf(invocation, 'until') ?? null,
      limit: numberOf(invocation, 'limit', { from: 1, to: 10_000 }),
    },
  });
  return await answerWithSession(invocation, client, session, (ended) => describeMatches(ended, invocation.surroundings.timeZone), matchesDocument);
}

/** The contract's answer, and with each operation the words that --at takes. */
function matchesDocument(session: Session): unknown {
  const { result } = session;
  if (result?.kind !== 'oplog-find') return sessionDocument(session);
  const matches = result.matches.map((match) => ({ ...match, time: showTime(match.at), before: `before:${showTime(match.at)}` }));
  return { ...sessionDocument(session), matches };
}

function describeMatches({ result }: Session, timeZone: string): string {
  if (result?.kind !== 'oplog-find') return '';
  const summary = `${plural(result.matches.length, 'operation')} found, ${showCount(result.examined)} examined`;
  if (result.matches.length === 0) return summary;
  const table = showTable<Found['matches'][number]>(
    [
      { title: 'AT', cell: (match) => showTime(match.at) },
      { title: 'TIME', cell: (match) => showMoment(match.wallMs ?? match.at.t * 1000, timeZone) },
      { title: 'OP', cell: (match) => match.op },
      { title: 'COLLECTION', cell: (match) => match.ns },
      { title: 'WHAT', cell: (match) => match.what },
    ],
    result.matches,
  );
  const hint = `For the state just before one of them: --at before:${showTime(result.matches[0]!.at)}`;
  return [table, '', `${summary}${result.truncated ? '; there are more, narrow it down or raise --limit' : ''}`, hint].join('\n');
}
