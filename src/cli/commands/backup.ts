import type { RouteAsked } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { showBytes, showSeconds } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { answerWithSession, sessionDocument } from '../session-answer.ts';

type Wishes = RouteAsked<'backup.run'>['body'];

export async function runBackup(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('backup.run', {
    params: { set: invocation.args[0]! },
    body: {
      fullRead: isGiven(invocation, 'fullRead'),
      repository: textOf(invocation, 'repository'),
      method: textOf(invocation, 'method') as Wishes['method'],
      source: textOf(invocation, 'source'),
      compression: textOf(invocation, 'compression') as Wishes['compression'],
      windowSeconds: numberOf(invocation, 'windowSeconds', { from: 1, to: 3600 }),
      dropClone: isGiven(invocation, 'dropClone'),
      reason: textOf(invocation, 'reason'),
    },
  });
  return await answerWithSession(invocation, client, session, showBackup, backupDocument);
}

/** cli.md fixes these fields; a backup that made no point has null in their place. */
function backupDocument(session: Session): unknown {
  const nothing = { point: null, method: null, copied: null, bytes: null, seconds: null, verified: false };
  return { ...nothing, ...sessionDocument(session) };
}

function showBackup({ result }: Session): string {
  if (result?.kind !== 'backup') return '';
  const { bytes } = result;
  const proof = result.verified ? 'opened and looked at' : 'NOT PROVED';
  const lock = result.lockedMs > 0 ? `, writes held for ${showSeconds(result.lockedMs / 1000)}` : '';
  return [
    `${result.copied === null ? '' : `${result.copied} `}restore point ${result.point}`,
    `copied by ${result.method} in ${showSeconds(result.seconds)}${lock}; ${proof}`,
    `${showBytes(bytes.processed)} protected, ${showBytes(bytes.read)} read, ${showBytes(bytes.transferred)} new, ${showBytes(bytes.stored)} stored`,
  ].join('\n');
}
