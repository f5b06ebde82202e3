import type { Group, GroupComputer, GroupSet, RescanSchedule } from '../../contract/groups.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showMoment, showSeconds } from '../format.ts';
import { deploymentsOf, settingsOf } from '../group-words.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { showFields, showTable } from '../table.ts';

export async function addGroup(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const settings = settingsOf(invocation);
  const isFromDirectory = textOf(invocation, 'directoryBase') !== undefined;
  const deployments = isFromDirectory && listOf(invocation, 'set').length === 0 ? [] : deploymentsOf(invocation, 'set');
  if (deployments.length === 0 && !isFromDirectory) throw usageOf(invocation, 'name a member of a set with --set, or computers with --directory-base');
  const candidates = await candidatesOf(invocation);
  const body = { timeZone: invocation.surroundings.timeZone, ...settings, name, deployments, candidates };
  const group = await (await invocation.client()).call('group.add', { body });
  invocation.answer(group, () => `${describeGroup(group, invocation.surroundings.timeZone)}\n\nNext: tidemark group rescan ${group.name}`);
  return exitCodes.done;
}

/** Computers of the directory, on which a member of a set may answer. */
async function candidatesOf(invocation: Invocation): Promise<{ host: string; port: number; credential: string | null }[]> {
  const base = textOf(invocation, 'directoryBase');
  const port = numberOf(invocation, 'directoryPort', { from: 1, to: 65_535 }) ?? 27_017;
  if (base === undefined) return [];
  const { computers } = await (await invocation.client()).call('directory.computers', { query: { base } });
  if (computers.length > 100) throw usageOf(invocation, `${computers.length} computers are below ${base}, and at most 100 are tried at once; give a base further down`);
  return computers.map(({ address }) => ({ host: address, port, credential: textOf(invocation, 'databaseCredential') ?? null }));
}

export async function listGroups(invocation: Invocation): Promise<ExitCode> {
  const { timeZone } = invocation.surroundings;
  const answer = await (await invocation.client()).call('group.list');
  invocation.answer(answer, () =>
    answer.groups.length === 0
      ? 'there is no protection group; add one with "tidemark group add"'
      : showTable<Group>(
          [
            { title: 'GROUP', cell: (group) => group.name },
            { title: 'SETS', cell: (group) => group.sets.map(({ name }) => name).join(', ') },
            { title: 'COMPUTERS', cell: (group) => `${group.computers.filter(({ isInScope }) => isInScope).length} of ${group.computers.length}`, right: true },
            { title: 'FAILING', cell: (group) => String(failing(group).length || ''), right: true },
            { title: 'NEXT RESCAN', cell: (group) => nextOf(group, timeZone) },
          ],
          answer.groups,
        ),
  );
  return exitCodes.done;
}

export async function showGroup(invocation: Invocation): Promise<ExitCode> {
  const group = await (await invocation.client()).call('group.show', { params: { group: invocation.args[0]! } });
  invocation.answer(group, () => describeGroup(group, invocation.surroundings.timeZone));
  return exitCodes.done;
}

export async function editGroup(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const body = {
    ...settingsOf(invocation),
    name: textOf(invocation, 'name'),
    addDeployments: deploymentsOf(invocation, 'addSet'),
    removeSets: listOf(invocation, 'removeSet'),
    computers: computerChanges(invocation),
  };
  const group = await client.call('group.edit', { params: { group: invocation.args[0]! }, body });
  invocation.answer(group, () => describeGroup(group, invocation.surroundings.timeZone));
  return exitCodes.done;
}

function computerChanges(invocation: Invocation) {
  const computer = textOf(invocation, 'computer');
  const [scope, address, signIn] = [textOf(invocation, 'scope'), textOf(invocation, 'address'), textOf(invocation, 'signIn')];
  const isChanged = scope !== undefined || address !== undefined || signIn !== undefined;
  if (computer === undefined && !isChanged) return [];
  if (computer === undefined) throw usageOf(invocation, 'name the computer with --computer');
  if (!isChanged) throw usageOf(invocation, `say what is changed of ${computer}: --scope, --address or --sign-in`);
  const how = signIn === undefined ? {} : signIn === 'kit' ? { awaitsKit: true } : { credential: signIn === 'group' ? null : signIn };
  return [{ computer, address, ...how, isInScope: scope === undefined ? undefined : scope === 'in' }];
}

export async function removeGroup(invocation: Invocation): Promise<ExitCode> {
  const asked = { params: { group: invocation.args[0]! }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } } as const;
  const answer = await (await invocation.client()).call('group.remove', asked);
  invocation.answer(answer, () => (answer.applied ? `group ${answer.group} was removed` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}

export const enableGroup = async (invocation: Invocation): Promise<ExitCode> => await setEnabled(invocation, true);
export const disableGroup = async (invocation: Invocation): Promise<ExitCode> => await setEnabled(invocation, false);

async function setEnabled(invocation: Invocation, isEnabled: boolean): Promise<ExitCode> {
  const group = await (await invocation.client()).call('group.enable', { params: { group: invocation.args[0]! }, body: { isEnabled } });
  invocation.answer(group, () => `${group.name}: next rescan ${nextOf(group, invocation.surroundings.timeZone)}`);
  return exitCodes.done;
}

const failing = ({ sets, computers }: Group): (string | null)[] => [...sets, ...computers.filter(({ isInScope }) => isInScope)].map(({ says }) => says).filter((says) => says !== null);

function nextOf(group: Group, timeZone: string): string {
  if (!group.isEnabled) return 'disabled';
  return group.nextRescanAtMs === null ? 'by hand' : showMoment(group.nextRescanAtMs, timeZone);
}

function describeGroup(group: Group, timeZone: string): string {
  const head = showFields([
    ['group', group.name],
    ['schedule', `${scheduleOf(group.schedule)}${group.schedule.kind === 'off' ? '' : `, ${group.timeZone}`}`],
    ['next rescan', nextOf(group, timeZone)],
    ['services', `${group.installServices ? 'installed' : 'not installed'}, ${group.updateServices ? 'updated' : 'not updated'}`],
    ['signs in with', group.hostCredential ?? 'nothing: computers enrol with a kit'],
    ['new members', group.newMembers === 'include' ? 'included' : 'left until they are ticked'],
  ]);
  const members = group.sets.flatMap((set) => set.members.map((member) => ({ set, member })));
  return [head, '', showTable(memberColumns, members), ...setNotes(group.sets), '', showTable(computerColumns, group.computers)].join('\n');
}

function setNotes(sets: readonly GroupSet[]): string[] {
  return sets.flatMap(({ name, says, protectedAs, credential }) => [
    `${name} ${protectedAs === null ? `is not protected; protect it with "tidemark set add ${name}"` : `is protected as ${protectedAs}`}${credential === null ? '; nobody signs in' : `; signs in with ${credential}`}`,
    ...(says === null ? [] : [`${name}: the last look failed: ${says}`]),
  ]);
}

type MemberRow = { set: GroupSet; member: GroupSet['members'][number] };

const memberColumns = [
  { title: 'SET', cell: ({ set }: MemberRow) => set.name },
  { title: 'MEMBER', cell: ({ member: { host, port } }: MemberRow) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`) },
  { title: 'STATE', cell: ({ member }: MemberRow) => `${member.state}${member.hidden ? ', hidden' : ''}${member.delaySeconds > 0 ? `, ${member.delaySeconds} s delayed` : ''}` },
  { title: 'MONGODB', cell: ({ member }: MemberRow) => member.version ?? '–' },
  { title: 'LAG', cell: ({ member }: MemberRow) => (member.lagSeconds === null ? '–' : showSeconds(member.lagSeconds)), right: true as const },
  { title: 'OPLOG', cell: ({ member }: MemberRow) => (member.oplogSeconds === null ? '–' : showSeconds(member.oplogSeconds)), right: true as const },
  { title: 'SAYS', cell: ({ member }: MemberRow) => member.says ?? '' },
];

const computerColumns = [
  { title: 'COMPUTER', cell: ({ name, address }: GroupComputer) => (name === address ? name : `${name} at ${address}`) },
  { title: 'SCOPE', cell: ({ isInScope }: GroupComputer) => (isInScope ? 'in' : 'out') },
  { title: 'NODE', cell: ({ node }: GroupComputer) => node ?? '–' },
  { title: 'SERVICES', cell: ({ link, serviceVersion }: GroupComputer) => (link === null ? 'none' : `${link}${serviceVersion === null ? '' : `, ${serviceVersion}`}`) },
  { title: 'MONGODS', cell: ({ mongods }: GroupComputer) => mongods.map(({ port }) => String(port)).join(', ') || '–' },
  { title: 'SAYS', cell: ({ says, lookedAtMs }: GroupComputer) => says ?? (lookedAtMs === null ? 'not visited yet' : '') },
];

export function scheduleOf(schedule: RescanSchedule): string {
  switch (schedule.kind) {
    case 'off':
      return 'off';
    case 'daily':
      return `${schedule.days.length === 7 ? 'daily' : schedule.days.join(', ')} at ${schedule.at}`;
    case 'every':
      return `every ${schedule.minutes % 60 === 0 ? plural(schedule.minutes / 60, 'hour') : plural(schedule.minutes, 'minute')}${schedule.hours === null ? '' : ` from ${schedule.hours.from} to ${schedule.hours.to}`}`;
  }
}
