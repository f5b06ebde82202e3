import type { Session, SessionEvent } from '../../contract/sessions.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showBytes, showMoment, showSeconds } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { answerWithSession, concludeSession } from '../session-answer.ts';
import { watchSession } from '../session-watch.ts';
import { showFields, showTable } from '../table.ts';

export async function listSessions(invocation: Invocation): Promise<ExitCode> {
  const query = {
    set: textOf(invocation, 'set'),
    kind: textOf(invocation, 'kind') as Session['kind'] | undefined,
    state: textOf(invocation, 'state') as Session['state'] | undefined,
    before: textOf(invocation, 'before'),
    limit: numberOf(invocation, 'limit', { from: 1, to: 500 }),
  };
  const answer = await (await invocation.client()).call('session.list', { query });
  invocation.answer(answer, () => (answer.sessions.length === 0 ? 'no sessions' : sessionTable(answer.sessions, invocation)));
  return exitCodes.done;
}

/** Nobody is to take a plan that succeeded for a restore that did. */
const workOf = ({ kind, isPlan }: Session): string => (isPlan ? `${kind} (plan)` : kind);

function sessionTable(sessions: readonly Session[], { clock, surroundings }: Invocation): string {
  return showTable<Session>(
    [
      { title: 'SESSION', cell: (session) => session.id },
      { title: 'KIND', cell: workOf },
      { title: 'OBJECT', cell: (session) => session.object.name },
      { title: 'STATE', cell: (session) => session.state },
      { title: 'STARTED', cell: (session) => showMoment(session.startedAtMs ?? session.createdAtMs, surroundings.timeZone) },
      { title: 'TOOK', cell: (session) => tookOf(session, clock.now()), right: true },
      { title: 'SAYS', cell: (session) => session.failure?.message ?? (session.state === 'working' ? (session.steps.at(-1)?.name ?? '') : '') },
    ],
    sessions,
  );
}

function tookOf(session: Session, nowMs: number): string {
  return session.startedAtMs === null ? '–' : showSeconds(((session.endedAtMs ?? nowMs) - session.startedAtMs) / 1000);
}

export async function showSession(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const params = { session: invocation.args[0]! };
  const session = await client.call('session.show', { params });
  const { events } = await client.call('session.log', { params, query: { limit: 10_000 } });
  invocation.answer({ ...session, log: events }, () => describeSession(session, events, invocation));
  return exitCodes.done;
}

function describeSession(session: Session, events: readonly SessionEvent[], { clock, surroundings }: Invocation): string {
  const { timeZone } = surroundings;
  const { progress, failure } = session;
  const head = showFields([
    ['session', session.id],
    ['work', `${workOf(session)} ${session.object.name}`],
    ['state', session.state],
    ['started', `${showMoment(session.startedAtMs ?? session.createdAtMs, timeZone)}, ${tookOf(session, clock.now())}`],
    ...(progress === null ? [] : [['bytes', `${showBytes(progress.processed)} processed, ${showBytes(progress.read)} read, ${showBytes(progress.transferred)} new, ${showBytes(progress.stored)} stored`] as const]),
    ...(progress?.bottleneck == null ? [] : [['slowest', progress.bottleneck] as const]),
    ...(session.retryOf === null ? [] : [['retry of', session.retryOf] as const]),
    ...(session.reason === null ? [] : [['reason', session.reason] as const]),
    ...(failure === null ? [] : [['failure', `${failure.message}  [${failure.code}]\n${failure.hint}`] as const]),
  ]);
  return [head, '', ...events.map((event) => showEvent(event, timeZone))].join('\n').trimEnd();
}

function showEvent({ atMs, event }: SessionEvent, timeZone: string): string {
  const at = showMoment(atMs, timeZone);
  switch (event.kind) {
    case 'state':
      return `${at}  ${event.state}`;
    case 'step':
      return `${at}  ${event.step}`;
    case 'line':
      return `${at}    ${event.level === 'info' ? '' : `${event.level}: `}${event.text}`;
    case 'progress':
      return `${at}    ${showBytes(event.progress.processed)}`;
  }
}

export async function watchOne(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('session.show', { params: { session: invocation.args[0]! } });
  const watched = await watchSession(invocation, client, session, { stopOnInterrupt: false });
  return concludeSession(invocation, watched, (ended) => `${workOf(ended)} ${ended.object.name}: ${ended.state}`);
}

/** Succeeds when the session ended as asked, and when it ended by itself before that. */
export async function stopSession(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('session.stop', { params: { session: invocation.args[0]! } });
  if (invocation.options['detach'] === true) return await answerWithSession(invocation, client, session, () => '');
  const watched = await watchSession(invocation, client, session, { stopOnInterrupt: false });
  const { state } = watched.session;
  invocation.answer({ session: session.id, kind: session.kind, state }, () => `session ${session.id}: ${state}`);
  return watched.kind === 'ended' && state !== 'failed' ? exitCodes.done : exitCodes.failed;
}

export async function retrySession(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const session = await client.call('session.retry', { params: { session: invocation.args[0]! } });
  return await answerWithSession(invocation, client, session, (ended) => `session ${ended.id}, ${workOf(ended)} ${ended.object.name}: ${ended.state}`);
}
