/** What is done about the services of hosts: install, update, configure, uninstall. */
import { resolve } from 'node:path';
import { isFailure, toWire, type WireFailure } from '../../base/failure.ts';
import type { RouteAsked } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import type { Client } from '../client.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodeOf, exitCodeOfSession, exitCodes, type ExitCode } from '../exit-codes.ts';
import { showFailure } from '../failure-text.ts';
import { durationOf, isApplied, numberOf, usageOf } from '../numbers.ts';
import { answerWithSession, sessionDocument } from '../session-answer.ts';
import { watchSession } from '../session-watch.ts';

export async function installNode(invocation: Invocation): Promise<ExitCode> {
  const file = textOf(invocation, 'package');
  const body = { credential: textOf(invocation, 'credential') ?? null, package: file === undefined ? null : resolve(file) };
  const client = await invocation.client();
  const session = await client.call('host.install', { params: { host: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, ({ result }) => {
    if (result?.kind !== 'deploy') return '';
    return `${result.host} runs its services (transport ${result.version}, ${result.platform}) and is connected${result.hostKey === null ? '' : `; its SSH key is ${result.hostKey}`}`;
  });
}

export async function updateNode(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const [node] = invocation.args;
  if ((node === undefined) !== isGiven(invocation, 'all')) throw usageOf(invocation, 'name one host, or give --all');
  const seconds = durationOf(invocation, 'wait');
  const body = seconds === undefined ? {} : { sessionsWithinMs: seconds * 1000 };
  if (node !== undefined) return await answerWithSession(invocation, client, await client.call('host.update', { params: { host: node }, body }), updatedText);
  return await updateAll(invocation, client, body);
}

type Refused = { readonly node: string; readonly failure: WireFailure };

/** Side by side: a host whose sessions take long keeps no other one waiting, and neither does one that is refused. */
async function updateAll(invocation: Invocation, client: Client, body: RouteAsked<'host.update'>['body']): Promise<ExitCode> {
  const { hosts } = await client.call('host.list', { query: { filter: 'out-of-date' } });
  const started: Session[] = [];
  const refused: Refused[] = [];
  for (const { name } of hosts) {
    try {
      started.push(await client.call('host.update', { params: { host: name }, body }));
    } catch (error) {
      if (!isFailure(error)) throw error;
      refused.push({ node: name, failure: toWire(error) });
    }
  }
  const isWatched = !isGiven(invocation, 'detach');
  const last: Session[] = [];
  for (const session of started) last.push(isWatched ? (await watchSession(invocation, client, session)).session : session);
  for (const { object, failure } of last) if (failure !== null) invocation.say(`${object.name}: ${showFailure(failure)}`);
  for (const { node, failure } of refused) invocation.say(`${node}: ${showFailure(failure)}`);
  invocation.answer({ sessions: last.map((session) => ({ ...sessionDocument(session), host: session.object.name })), refused }, () =>
    hosts.length === 0 ? 'every host is up to date' : [...last.map((session) => updatedText(session) || `${session.object.name}: ${session.state}, session ${session.id}`), ...refused.map(({ node }) => `${node}: refused`)].join('\n'),
  );
  const codes = [...(isWatched ? last.map(exitCodeOfSession) : started.map(() => exitCodes.done)), ...refused.map(({ failure }) => exitCodeOf(failure))];
  if (codes.every((code) => code === exitCodes.done)) return exitCodes.done;
  return codes.includes(exitCodes.done) ? exitCodes.part : exitCodes.failed;
}

function updatedText({ result }: Session): string {
  if (result?.kind !== 'update') return '';
  const changed = result.services.filter(({ before, version }) => before !== version);
  return changed.length === 0 ? `${result.host} is up to date` : `${result.host}: ${changed.map(({ name, before, version }) => `${name} ${before} is now ${version}`).join(', ')}`;
}

export async function configureNode(invocation: Invocation): Promise<ExitCode> {
  const ports = { from: 1, to: 65_535 };
  const range = textOf(invocation, 'dataPorts');
  const match = range === undefined ? undefined : /^(\d{1,5})-(\d{1,5})$/.exec(range);
  if (match === null) throw usageOf(invocation, `--data-ports ${range} is not FROM-TO`);
  const seconds = durationOf(invocation, 'wait');
  const single = textOf(invocation, 'singlePort');
  const body = {
    controlPort: numberOf(invocation, 'controlPort', ports),
    deployerPort: numberOf(invocation, 'deployerPort', ports),
    ...(match !== undefined && { dataFrom: Number(match[1]), dataTo: Number(match[2]) }),
    ...(single !== undefined && { singlePort: single === 'on' }),
    rights: textOf(invocation, 'rights') as 'read' | 'restore' | undefined,
    ...(seconds !== undefined && { sessionsWithinMs: seconds * 1000 }),
  };
  const client = await invocation.client();
  const session = await client.call('host.configure', { params: { host: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, ({ result }) => (result?.kind === 'configure' ? `${result.host}: transport ${result.controlPort}, deployer ${result.deployerPort}, data ${result.singlePort ? `on ${result.controlPort} too` : `${result.dataFrom}–${result.dataTo}`}` : ''));
}

export async function uninstallNode(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const body = { all: isGiven(invocation, 'all'), data: isGiven(invocation, 'data') };
  const plan = body.all
    ? ['stop and remove the transport and the deployer, with their settings, users and data', `refuse every certificate of ${name} and forget it`]
    : [`stop and remove the transport of ${name}${body.data ? ', its settings, its user and its data' : ''}`, body.data ? 'refuse its certificate' : 'leave its settings and data as they are', 'leave the deployer there'];
  if (!isApplied(invocation)) {
    invocation.answer({ applied: false, plan }, () => [...plan, 'Nothing was changed; add --apply to do it.'].join('\n'));
    return exitCodes.done;
  }
  const client = await invocation.client();
  const session = await client.call('host.uninstall', { params: { host: name }, body });
  return await answerWithSession(invocation, client, session, ({ result }) => (result?.kind === 'uninstall' ? `${result.host}: ${result.all ? 'nothing of ours is left, and the host is forgotten' : 'the transport is gone'}` : ''));
}
