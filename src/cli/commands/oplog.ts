import { showTime } from '../../base/cluster-time.ts';
import type { RouteAsked } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { textOf, type Invocation } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { plural, showClusterTime, showCount, showMoment, showSeconds } from '../format.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { answerWithSession, sessionDocument } from '../session-answer.ts';
import { showTable } from '../table.ts';

type Found = Extract<NonNullable<Session['result']>, { kind: 'oplog-find' }>;

export async function findOperations(invocation: Invocation): Promise<ExitCode> {
  const match = readMatch(invocation);
  const client = await invocation.client();
  const session = await client.call('oplog.find', {
    params: { set: invocation.args[0]! },
    body: {
      ns: textOf(invocation, 'ns') ?? null,
      op: (textOf(invocation, 'op') ?? null) as RouteAsked<'oplog.find'>['body']['op'],
      match,
      since: textOf(invocation, 'since') ?? null,
      until: textOf(invocation, 'until') ?? null,
      limit: numberOf(invocation, 'limit', { from: 1, to: 10_000 }),
    },
  });
  return await answerWithSession(invocation, client, session, (ended) => describeMatches(ended, invocation.surroundings.timeZone), matchesDocument);
}

/** Extended JSON is JSON; what its fields mean is the host's to read. */
function readMatch(invocation: Invocation): string | null {
  const text = textOf(invocation, 'match');
  if (text === undefined) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text;
  } catch {
    // Said below, with the words as they were given.
  }
  throw usageOf(invocation, `--match takes an extended JSON object such as {"_id": 17}, not ${text}`);
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
  const more = result.truncated ? '; there are more, narrow it down or raise --limit' : '';
  const summary = [`${plural(result.matches.length, 'operation')} found, ${showCount(result.examined)} examined${more}`, ...howFar(result, timeZone)];
  if (result.matches.length === 0) return summary.join('\n');
  const newest = result.matches.findLast(({ reachable }) => reachable);
  const table = showTable<Found['matches'][number]>(
    [
      { title: 'AT', cell: (match) => showTime(match.at) },
      { title: 'TIME', cell: (match) => showMoment(match.at.t * 1000, timeZone) },
      { title: 'OP', cell: (match) => match.op },
      { title: 'COLLECTION', cell: (match) => match.ns },
      { title: 'WHAT', cell: (match) => `${match.reachable ? '' : '(outside the window) '}${match.what}` },
    ],
    result.matches,
  );
  const hint = newest === undefined ? 'No restore leads to just before one of them: see "tidemark window"' : `For the state just before the newest of them: --at before:${showTime(newest.at)}`;
  return [table, '', ...summary, hint].join('\n');
}

/** What a search did not see matters as much as what it found. */
function howFar({ searchedThrough, notArchivedYet, truncated }: Found, timeZone: string): string[] {
  const through = searchedThrough === null ? 'the archive holds nothing between these borders' : `searched through ${showClusterTime(searchedThrough, timeZone)}`;
  if (notArchivedYet === null || truncated) return [through];
  return [through, `NOT COMPLETE: newer operations are not in the archive yet (${notArchivedYet.why}); try again in ${showSeconds(notArchivedYet.retryAfterSeconds)}`];
}
