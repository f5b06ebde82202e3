import type { RouteAnswer, RouteAsked } from '../../contract/routes.ts';
import type { ProtectedSet } from '../../contract/routes/sets.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { readTarget } from '../database-target.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showClusterTime, showMoment, showSeconds } from '../format.ts';
import { usageOf } from '../numbers.ts';
import { howOften } from './oplog-mode.ts';
import { showFields, showTable } from '../table.ts';

export async function addSet(invocation: Invocation): Promise<ExitCode> {
  const reached = await reachedBy(invocation, invocation.args[0]!);
  const client = await invocation.client();
  const set = await client.call('set.add', { body: { ...reached, name: textOf(invocation, 'name'), repository: textOf(invocation, 'repository') } });
  invocation.answer(set, () => `${set.name} is protected: ${plural(set.members.length, 'member')}, MongoDB ${set.mongoVersion}, repository ${set.repository}\nNext: tidemark backup run ${set.name}`);
  return exitCodes.done;
}

/** What is a name and nothing else is that of a set which a group has found. */
async function reachedBy(invocation: Invocation, given: string): Promise<Pick<RouteAsked<'set.add'>['body'], 'target' | 'found'>> {
  const group = textOf(invocation, 'group');
  if (/^[A-Za-z0-9_.-]+$/.test(given)) {
    const signIn = ['user', 'passwordFile', 'authSource', 'x509', 'tlsCa', 'tlsCertificate'].find((name) => textOf(invocation, name) !== undefined);
    if (signIn !== undefined || isGiven(invocation, 'tls')) throw usageOf(invocation, 'a set that a group has found is signed in to with the group\'s credential');
    return { found: { set: given, group } };
  }
  if (group !== undefined) throw usageOf(invocation, '--group goes with the name of a set, not with a connection string');
  return { target: await readTarget(given, invocation) };
}

export async function listSets(invocation: Invocation): Promise<ExitCode> {
  const { timeZone } = invocation.surroundings;
  const answer = await (await invocation.client()).call('set.list');
  invocation.answer(answer, () =>
    answer.sets.length === 0
      ? 'no set is protected yet; add one with "tidemark set add mongodb://HOST:PORT"'
      : showTable<ProtectedSet>(
          [
            { title: 'SET', cell: (set) => set.name },
            { title: 'MEMBERS', cell: (set) => String(set.members.length), right: true },
            { title: 'MONGODB', cell: (set) => set.mongoVersion },
            { title: 'OPLOG', cell: (set) => set.oplog.state },
            { title: 'LOSS NOW', cell: (set) => (set.oplog.lossIfDisasterNowSeconds === null ? 'everything' : showSeconds(set.oplog.lossIfDisasterNowSeconds)), right: true },
            { title: 'LAST POINT', cell: (set) => (set.lastPoint === null ? '–' : `${showMoment(set.lastPoint.createdAtMs, timeZone)}${proofMark(set.lastPoint)}`) },
            { title: 'OPEN ALARMS', cell: (set) => String(set.alarms.filter(({ isSettled }) => !isSettled).length || ''), right: true },
          ],
          answer.sets,
        ),
  );
  return exitCodes.done;
}

export async function showSet(invocation: Invocation): Promise<ExitCode> {
  const set = await (await invocation.client()).call('set.show', { params: { set: invocation.args[0]! } });
  invocation.answer(set, () => describeSet(set, invocation.surroundings.timeZone));
  return exitCodes.done;
}

function describeSet(set: ProtectedSet, timeZone: string): string {
  const { oplog } = set;
  const head = showFields([
    ['set', `${set.name} (${set.id})`],
    ['replica set', `${set.replicaSet}, MongoDB ${set.mongoVersion}, compatibility ${set.featureCompatibilityVersion}`],
    ['repository', set.repository],
    ['sign-in', set.signIn],
    ['policies', set.policies.map(({ name, isEnabled }) => `${name}${isEnabled ? '' : ' (disabled)'}`).join(', ') || 'none: no backup is made by itself'],
    ['oplog', `${oplog.state}${oplog.says === null ? '' : `: ${oplog.says}`}`],
    ['  taken', howOften(set)],
    ['  through', showClusterTime(oplog.through, timeZone)],
    ['  archived', oplog.entriesPerSecond === null ? '–' : `${oplog.entriesPerSecond} entries/s`],
    ['  restorable to', `${showClusterTime(oplog.restorableTo, timeZone)}${oplog.needsBase && set.lastPoint !== null ? ', and no further before a new restore point is there' : ''}`],
    ['  loss if disaster now', oplog.lossIfDisasterNowSeconds === null ? 'everything' : showSeconds(oplog.lossIfDisasterNowSeconds)],
    ['last point', set.lastPoint === null ? 'none yet' : `${set.lastPoint.id}, made ${showMoment(set.lastPoint.createdAtMs, timeZone)}, of the moment ${showClusterTime(set.lastPoint.top, timeZone)}${proofMark(set.lastPoint)}`],
    ['refreshed', showMoment(set.refreshedAtMs, timeZone)],
  ]);
  const members = showTable<ProtectedSet['members'][number]>(
    [
      { title: 'MEMBER', cell: (member) => `${member.host}:${member.port}` },
      { title: 'STATE', cell: (member) => `${member.state}${member.hidden ? ', hidden' : ''}${member.health ? '' : ', unhealthy'}` },
      { title: 'LAG', cell: (member) => (member.lagSeconds === null ? '–' : showSeconds(member.lagSeconds)), right: true },
      { title: 'OPLOG COVERS', cell: (member) => coverOf(set, `${member.host}:${member.port}`), right: true },
      { title: 'COPIED BY', cell: (member) => waysOf(set, `${member.host}:${member.port}`) },
    ],
    set.members,
  );
  const alarms = set.alarms.map((alarm) => `${alarm.isSettled ? 'settled alarm' : 'OPEN ALARM'}  ${showMoment(alarm.atMs, timeZone)}  ${alarm.what}: ${alarm.says}${alarm.next === null ? '' : `; ${alarm.next}`}`);
  return [head, '', members, ...(alarms.length === 0 ? [] : ['', ...alarms])].join('\n');
}

/** How long the archive may stand still before this member's oplog no longer continues it. */
function coverOf({ oplog }: ProtectedSet, member: string): string {
  const { heldSeconds = null, reachSeconds = null } = oplog.members.find((one) => one.member === member) ?? {};
  if (heldSeconds === null || reachSeconds === null) return '–';
  return reachSeconds > heldSeconds * 1.5 ? `${showSeconds(heldSeconds)}, ${showSeconds(reachSeconds)} when full` : showSeconds(heldSeconds);
}

function proofMark({ proof }: NonNullable<ProtectedSet['lastPoint']>): string {
  return proof === null ? ', NOT PROVED' : proof.ok ? '' : ', FAILED its proof';
}

/** The best way to copy a member, or why there is none. */
function waysOf(set: ProtectedSet, member: string): string {
  const local = set.local.find((candidate) => candidate.member === member);
  if (local === undefined) return 'not on this host';
  const possible = local.methods.filter((way) => way.possible).map((way) => way.method);
  return possible.length > 0 ? `${possible.join(', ')} (${local.fileSystem})` : `no way: ${local.methods.map((way) => way.why).join('; ')}`;
}

export async function removeSet(invocation: Invocation): Promise<ExitCode> {
  const asked = { params: { set: invocation.args[0]! }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } } as const;
  const answer: RouteAnswer<'set.remove'> = await (await invocation.client()).call('set.remove', asked);
  invocation.answer(answer, () =>
    answer.applied ? `${answer.set} is not protected any more; ${plural(answer.points, 'restore point')} stay in the repository` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n'),
  );
  return exitCodes.done;
}
