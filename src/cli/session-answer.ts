import type { Session } from '../contract/sessions.ts';
import type { Client } from './client.ts';
import { isGiven, type Invocation } from './command.ts';
import { exitCodeOfSession, exitCodes, type ExitCode } from './exit-codes.ts';
import { showFailure } from './failure-text.ts';
import { watchSession, type Watched } from './session-watch.ts';

/** The document of a command that ran a session: its id and state, what it made, and why it failed. */
export function sessionDocument(session: Session): Record<string, unknown> {
  const { failure, result } = session;
  return { session: session.id, kind: session.kind, state: session.state, ...result, ...(failure === null ? {} : { failure }) };
}

/** Waits for a session that a route has just started (or not, with --detach) and answers with how it ended. */
export async function answerWithSession(
  invocation: Invocation,
  client: Client,
  started: Session,
  text: (session: Session) => string,
  document: (session: Session) => unknown = sessionDocument,
): Promise<ExitCode> {
  if (isGiven(invocation, 'detach')) {
    invocation.answer({ session: started.id, kind: started.kind, state: started.state }, () => started.id);
    return exitCodes.done;
  }
  return concludeSession(invocation, await watchSession(invocation, client, started), text, document);
}

export function concludeSession(invocation: Invocation, watched: Watched, text: (session: Session) => string, document: (session: Session) => unknown = sessionDocument): ExitCode {
  const { session } = watched;
  if (watched.kind === 'left-running') {
    invocation.say(`left running; see "tidemark session watch ${session.id}"`);
    invocation.answer({ session: session.id, kind: session.kind, state: session.state }, () => session.id);
    return exitCodes.failed;
  }
  if (session.failure !== null) invocation.say(showFailure(session.failure));
  else if (session.state === 'stopped') invocation.say(`session ${session.id} was stopped`);
  if (session.state === 'warning') invocation.say(`finished with ${session.warnings} warning(s); see "tidemark session show ${session.id}"`);
  invocation.answer(document(session), () => (session.result === null ? '' : text(session)));
  const isBad = (session.result?.kind === 'check' || session.result?.kind === 'test') && !session.result.ok;
  return isBad ? exitCodes.failed : exitCodeOfSession(session);
}
