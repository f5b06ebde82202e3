import * as z from 'zod';
import { deploymentWish, group, groupName, groupOptions, groupOptionsGiven } from '../groups.ts';
import type { Route } from '../route.ts';
import { session } from '../sessions.ts';

const groupParams = z.object({ group: z.string().min(1) });

const computerChange = z.object({
  computer: z.string().min(1),
  address: z.string().min(1).max(253).optional().meta({ description: 'where it is connected to' }),
  credential: z.string().min(1).nullable().optional().meta({ description: 'name of a host credential of its own; null: the group\'s' }),
  awaitsKit: z.boolean().optional().meta({ description: 'no SSH: it enrols with its kit' }),
  isInScope: z.boolean().optional(),
});

const looked = ['server.set-in-group', 'server.credential-unknown', 'server.credential-other-kind', 'server.time-zone-unknown', 'server.host-unreachable'];

export const groupRoutes = {
  'group.add': {
    method: 'POST',
    path: '/api/v1/groups',
    permission: 'groups.write',
    summary: 'Add a protection group. Each of its sets is looked at at once, over the wire; nothing is written on any computer before its first rescan.',
    body: groupOptionsGiven.extend({
      name: groupName,
      deployments: z.array(deploymentWish).default([]),
      candidates: z.array(deploymentWish).max(100).default([]).meta({ description: 'the same, but those where no member of a set answers, or one of a set that a group has, are left out' }),
    }),
    status: 201,
    answer: group,
    failures: ['server.group-exists', 'server.group-empty', ...looked],
  },
  'group.list': {
    method: 'GET',
    path: '/api/v1/groups',
    permission: 'groups.read',
    summary: 'Every protection group.',
    status: 200,
    answer: z.object({ groups: z.array(group) }),
    failures: [],
  },
  'group.show': {
    method: 'GET',
    path: '/api/v1/groups/:group',
    permission: 'groups.read',
    summary: 'One protection group: its sets with their members, its computers and what was found on them.',
    params: groupParams,
    status: 200,
    answer: group,
    failures: ['server.group-unknown'],
  },
  'group.edit': {
    method: 'PUT',
    path: '/api/v1/groups/:group',
    permission: 'groups.write',
    summary: 'Change what is given of a group and leave the rest. Sets that are added are looked at at once.',
    params: groupParams,
    body: groupOptions.partial().extend({
      name: groupName.optional(),
      addDeployments: z.array(deploymentWish).default([]).meta({ description: 'a set that the group has is reached in the new way from then on' }),
      removeSets: z.array(z.string().min(1)).default([]).meta({ description: 'names or ids of sets of the group' }),
      computers: z.array(computerChange).default([]),
    }),
    status: 200,
    answer: group,
    failures: ['server.group-unknown', 'server.group-exists', 'server.deployment-unknown', 'server.computer-unknown', ...looked],
  },
  'group.remove': {
    method: 'DELETE',
    path: '/api/v1/groups/:group',
    permission: 'groups.write',
    summary: 'Remove a group. Its sets stay protected, and its computers stay nodes.',
    params: groupParams,
    query: z.object({ apply: z.stringbool().default(false).meta({ description: 'carry out the plan; otherwise only the plan is answered' }) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), group: z.string(), plan: z.array(z.string()) }),
    failures: ['server.group-unknown', 'server.group-busy', 'server.group-in-use'],
  },
  'group.enable': {
    method: 'PUT',
    path: '/api/v1/groups/:group/enabled',
    permission: 'groups.write',
    summary: 'Whether the schedule of a group runs. Rescans by hand are possible either way.',
    params: groupParams,
    body: z.object({ isEnabled: z.boolean() }),
    status: 200,
    answer: group,
    failures: ['server.group-unknown'],
  },
  'group.rescan': {
    method: 'POST',
    path: '/api/v1/groups/:group/rescans',
    permission: 'groups.rescan',
    summary: 'Look at a group again: connect to its computers, look for mongods, deploy services, refresh its sets. One computer or one set alone where it is named.',
    params: groupParams,
    body: z.object({ computer: z.string().min(1).optional(), set: z.string().min(1).optional(), reason: z.string().optional() }),
    status: 202,
    answer: session,
    failures: ['server.group-unknown', 'server.computer-unknown', 'server.deployment-unknown', 'server.group-busy'],
  },
  'group.test': {
    method: 'POST',
    path: '/api/v1/groups/:group/tests',
    permission: 'groups.write',
    summary: 'Connect to every computer in scope and every set of a group at once, and say what failed where. Nothing is changed.',
    params: groupParams,
    status: 200,
    answer: z.object({
      ok: z.boolean(),
      computers: z.array(z.object({ computer: z.string(), address: z.string(), ok: z.boolean(), way: z.enum(['link', 'ssh']).nullable(), says: z.string(), hint: z.string().nullable() })),
      sets: z.array(z.object({ set: z.string(), seed: z.string(), ok: z.boolean(), says: z.string(), hint: z.string().nullable() })),
    }),
    failures: ['server.group-unknown'],
  },
} as const satisfies Record<string, Route>;
