/** An operator's own checks: read from a file into policies, listed with how they went, and asked now. */
import * as z from 'zod';
import { parseAllDocuments } from 'yaml';
import { ownChecks, type OwnCheck } from '../../contract/checks.ts';
import type { PolicyDocument } from '../../contract/policies.ts';
import type { SetVerification } from '../../contract/routes/checks.ts';
import type { Session } from '../../contract/sessions.ts';
import { isGiven, type Invocation } from '../command.ts';
import { exitCodes, exitCodeOfSession, type ExitCode } from '../exit-codes.ts';
import { checkFileUnfit } from '../failures.ts';
import { showFailure } from '../failure-text.ts';
import { plural, showClusterTime, showMoment } from '../format.ts';
import { isApplied } from '../numbers.ts';
import { readFileOf } from '../secret-file.ts';
import { sessionDocument } from '../session-answer.ts';
import { watchSession } from '../session-watch.ts';
import { showTable } from '../table.ts';

const fileShape = z.strictObject({ policy: z.string().min(1), checks: ownChecks });
type CheckFile = z.infer<typeof fileShape>;
type Change = { readonly policy: string; readonly adds: string[]; readonly changes: string[]; readonly removes: string[] };

export async function applyChecks(invocation: Invocation): Promise<ExitCode> {
  const file = invocation.args[0]!;
  const wanted = readChecks(file, await readFileOf('check file', file));
  const client = await invocation.client();
  const applied = isApplied(invocation);
  const changes: Change[] = [];
  for (const { policy, checks } of wanted) {
    const { document } = await client.call('policy.show', { params: { policy } });
    const change = changeOf(document, checks);
    changes.push(change);
    if (applied && !isNothing(change)) await client.call('policy.edit', { params: { policy }, body: { ...document, verification: { ...document.verification, checks } } });
  }
  invocation.answer({ applied, changes }, () => describeChanges(changes, applied));
  return exitCodes.done;
}

function readChecks(file: string, text: string): CheckFile[] {
  return parseAllDocuments(text).flatMap((parsed, at) => {
    const [error] = parsed.errors;
    if (error !== undefined) throw checkFileUnfit({ file, why: error.message.split('\n')[0]! });
    const value: unknown = parsed.toJS();
    if (value === null) return [];
    const read = fileShape.safeParse(value);
    if (!read.success) throw checkFileUnfit({ file, why: `document ${at + 1}: ${z.prettifyError(read.error).replaceAll('\n', ' ')}` });
    return [read.data];
  });
}

/** Checks are known by their names. */
function changeOf({ name, verification }: PolicyDocument, wanted: readonly OwnCheck[]): Change {
  const before = new Map(verification.checks.map((check) => [check.name, JSON.stringify(check)]));
  const names = new Set(wanted.map((check) => check.name));
  return {
    policy: name,
    adds: wanted.filter((check) => !before.has(check.name)).map((check) => check.name),
    changes: wanted.filter((check) => before.has(check.name) && before.get(check.name) !== JSON.stringify(check)).map((check) => check.name),
    removes: [...before.keys()].filter((one) => !names.has(one)),
  };
}

const isNothing = ({ adds, changes, removes }: Change): boolean => adds.length + changes.length + removes.length === 0;

function describeChanges(changes: readonly Change[], applied: boolean): string {
  const be = applied ? 'is' : 'would be';
  const lines = changes.flatMap((change) => {
    if (isNothing(change)) return [`${change.policy} is so already`];
    return [change.policy, ...change.adds.map((name) => `  "${name}" ${be} added`), ...change.changes.map((name) => `  "${name}" ${be} changed`), ...change.removes.map((name) => `  "${name}" ${be} removed`)];
  });
  if (!applied && changes.some((change) => !isNothing(change))) lines.push('Nothing was changed. Add --apply to carry it out.');
  return lines.join('\n') || 'the file names no policy';
}

export async function listChecks(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('check.list', { query: { set: invocation.args[0] } });
  invocation.answer(answer, () => describeVerifications(answer.verifications, invocation.surroundings.timeZone));
  return exitCodes.done;
}

function describeVerifications(verifications: readonly SetVerification[], timeZone: string): string {
  if (verifications.length === 0) return 'no policy has such a set';
  const table = showTable<SetVerification>(
    [
      { title: 'SET', cell: ({ set }) => set },
      { title: 'POLICY', cell: ({ policy }) => policy },
      { title: 'CHECKS', cell: ({ checks }) => String(checks.length), right: true },
      { title: 'NEXT', cell: ({ isEnabled, nextAtMs }) => (!isEnabled ? 'none, it is disabled' : nextAtMs === null ? 'by hand' : showMoment(nextAtMs, timeZone)) },
      { title: 'LAST', cell: ({ last }) => (last === null ? 'never' : `${last.ok ? 'good' : 'FAILED'}, ${showMoment(last.atMs, timeZone)}`) },
    ],
    verifications,
  );
  return [table, ...verifications.flatMap((one) => describeLast(one, timeZone))].join('\n');
}

function describeLast({ set, policy, checks, last }: SetVerification, timeZone: string): string[] {
  if (last === null) return checks.length === 0 ? [] : ['', `${set}, ${policy}`, ...checks.map(({ name }) => `  "${name}": not asked yet`)];
  const known = new Map(last.checks.map((check) => [check.name, check]));
  const each = checks.map(({ name }) => {
    const found = known.get(name);
    return found === undefined ? `  "${name}": not asked yet` : `  "${name}": ${found.ok ? 'holds' : 'FAILED'}, ${found.says}`;
  });
  return ['', `${set}, ${policy}: ${last.moment === null ? 'the own moment' : showClusterTime(last.moment, timeZone)} of restore point ${last.point}, session ${last.session}`, `  ${last.says}`, ...each];
}

export async function verifyPolicy(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const { sessions } = await client.call('policy.verify', { params: { policy: invocation.args[0]! }, body: {} });
  if (isGiven(invocation, 'detach')) {
    invocation.answer({ sessions: sessions.map(({ id, state }) => ({ session: id, state })) }, () => sessions.map(({ id }) => id).join('\n'));
    return exitCodes.done;
  }
  const ended: Session[] = [];
  for (const started of sessions) {
    const { session } = await watchSession(invocation, client, started);
    if (session.failure !== null) invocation.say(showFailure(session.failure));
    ended.push(session);
  }
  invocation.answer({ sessions: ended.map(sessionDocument) }, () => ended.map((session) => `${session.object.name}: ${describeEnd(session)}`).join('\n'));
  return ended.map(exitCodeOfSession).find((code) => code !== exitCodes.done) ?? exitCodes.done;
}

function describeEnd({ result, state }: Session): string {
  if (result?.kind !== 'verify') return state;
  return `restore point ${result.point} holds ${plural(result.collections.length, 'collection')}, all validated, and ${plural(result.checks?.length ?? 0, 'own check')}`;
}
