/** What goes wrong with groups and their rescans. */
import { failure } from '../base/failure.ts';

export const groupUnknown = failure<{ group: string }>('server.group-unknown', {
  says: ({ group }) => `no protection group is called ${group}`,
  hint: 'Run "tidemark group list" for the groups there are.',
  retry: 'never',
});

export const groupExists = failure<{ name: string }>('server.group-exists', {
  says: ({ name }) => `another protection group is called ${name}`,
  hint: 'Give another name, or change that group with "tidemark group edit".',
  retry: 'never',
});

export const groupEmpty = failure<{ name: string; candidates: number }>('server.group-empty', {
  says: ({ name, candidates }) => (candidates === 0 ? `group ${name} would have no set` : `on none of the ${candidates} candidates for group ${name} a member of a set answers that no group has`),
  hint: 'Name a member of each set with --set.',
  retry: 'never',
});

export const groupBusy = failure<{ group: string; session: string }>('server.group-busy', {
  says: ({ group, session }) => `session ${session} is at work on group ${group}`,
  hint: 'Wait until it has ended, or stop it with "tidemark session stop".',
  retry: 'later',
});

export const groupInUse = failure<{ group: string; policies: readonly string[] }>('server.group-in-use', {
  says: ({ group, policies }) => `group ${group} is protected by ${policies.length === 1 ? 'policy' : 'policies'} ${policies.join(', ')}`,
  hint: 'Take it out there first, with "tidemark policy edit" or "policy apply": what only this group brings to them would not be backed up any more.',
  retry: 'never',
});

export const setInGroup = failure<{ set: string; group: string }>('server.set-in-group', {
  says: ({ set, group }) => `the replica set ${set} is in group ${group} already`,
  hint: 'A set is in one group. Take it out there first, with "tidemark group edit".',
  retry: 'never',
});

export const deploymentUnknown = failure<{ group: string; set: string }>('server.deployment-unknown', {
  says: ({ group, set }) => `group ${group} has no replica set ${set}`,
  hint: 'Run "tidemark group show" for the sets it has.',
  retry: 'never',
});

export const computerUnknown = failure<{ group: string; computer: string }>('server.computer-unknown', {
  says: ({ group, computer }) => `group ${group} has no computer ${computer}`,
  hint: 'Computers are called as the members on them are named. Run "tidemark group show" for those there are.',
  retry: 'never',
});

export const credentialInUse = failure<{ credential: string; groups: readonly string[] }>('server.credential-in-use', {
  says: ({ credential, groups }) => `credential ${credential} is in use by group ${groups.join(', ')}`,
  hint: 'Give the group another one with "tidemark group edit" first.',
  retry: 'never',
});

export const foundSetUnknown = failure<{ set: string; groups: readonly string[] }>('server.found-set-unknown', {
  says: ({ set, groups }) => (groups.length === 0 ? `no group has found a replica set ${set}` : `several groups have found a replica set ${set}: ${groups.join(', ')}`),
  hint: 'Run "tidemark group list" for the sets that were found, and name the group with --group where there are several; or give a connection string.',
  retry: 'never',
});

export const kitAwaited = failure<{ computer: string; node: string }>('server.kit-awaited', {
  says: ({ computer }) => `${computer} is not reached over SSH, and has not enrolled with its kit yet`,
  hint: ({ node }) => `Make a kit with "tidemark node kit ${node}" and carry it there, or give the computer a credential with "tidemark group edit".`,
  retry: 'later',
});

export const rescanReachedNothing = failure<{ group: string; first: string }>('server.rescan-reached-nothing', {
  says: ({ group, first }) => `nothing of group ${group} was reached; the first failure: ${first}`,
  hint: 'Run "tidemark group test" for what fails where, and "tidemark session show" for all of it.',
  retry: 'later',
});
