import type { RouteAsked } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { readTarget } from '../database-target.ts';
import type { ExitCode } from '../exit-codes.ts';
import { describeRestore } from '../restore-text.ts';
import { isApplied, usageOf } from '../numbers.ts';
import { readMembers, readMembersOnHosts, readNamespaces, type MemberOnHost } from '../restore-words.ts';
import { answerWithSession } from '../session-answer.ts';

type Existing = RouteAsked<'restore.collections'>['body']['existing'];

export async function restoreSet(invocation: Invocation): Promise<ExitCode> {
  const body = {
    at: textOf(invocation, 'at')!,
    repository: textOf(invocation, 'repository'),
    members: membersOf(invocation),
    node: textOf(invocation, 'node'),
    name: textOf(invocation, 'name'),
    start: isGiven(invocation, 'start'),
    apply: isApplied(invocation),
    reason: textOf(invocation, 'reason'),
  };
  const client = await invocation.client();
  const session = await client.call('restore.set', { params: { set: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, (ended) => restoreText(ended, invocation));
}

/** All on one host, or each where it says. */
function membersOf(invocation: Invocation): MemberOnHost[] {
  const [onOne, onHosts] = [readMembers(invocation), readMembersOnHosts(invocation)];
  if (onOne.length > 0 && onHosts.length > 0) throw usageOf(invocation, '--to-dir and --member are two ways to say the same');
  if (onOne.length + onHosts.length === 0) throw usageOf(invocation, 'name the members with --to-dir or --member');
  return onHosts.length > 0 ? onHosts : onOne.map((member) => ({ ...member, node: undefined }));
}

export async function restoreCollections(invocation: Invocation): Promise<ExitCode> {
  const into = textOf(invocation, 'into');
  const body = {
    at: textOf(invocation, 'at')!,
    repository: textOf(invocation, 'repository'),
    namespaces: readNamespaces(invocation, listOf(invocation, 'ns')),
    into: into === undefined ? undefined : await readTarget(into, invocation),
    existing: textOf(invocation, 'existing') as Existing,
    apply: isApplied(invocation),
    reason: textOf(invocation, 'reason'),
  };
  const client = await invocation.client();
  const session = await client.call('restore.collections', { params: { set: invocation.args[0]! }, body });
  return await answerWithSession(invocation, client, session, (ended) => restoreText(ended, invocation));
}

function restoreText({ result }: Session, invocation: Invocation): string {
  return result?.kind === 'restore-set' || result?.kind === 'restore-collections' ? describeRestore(result, invocation.surroundings.timeZone) : '';
}
