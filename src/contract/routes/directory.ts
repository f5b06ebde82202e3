import * as z from 'zod';
import { directoryComputer, directoryGiven, directorySettings, directoryTest } from '../directory.ts';
import type { Route } from '../route.ts';

const reached = ['directory.not-reached', 'directory.not-trusted', 'directory.bind-refused', 'directory.search-refused', 'directory.answer-unusable'];

export const directoryRoutes = {
  'directory.show': {
    method: 'GET',
    path: '/api/v1/directory',
    permission: 'directory.read',
    summary: 'How the directory is reached; without the password of its account.',
    status: 200,
    answer: z.object({ directory: directorySettings.nullable() }),
    failures: [],
  },
  'directory.set': {
    method: 'PUT',
    path: '/api/v1/directory',
    permission: 'directory.write',
    summary: 'Set the directory. It is asked once with these settings before they are kept.',
    body: directoryGiven,
    status: 200,
    answer: directorySettings,
    failures: ['server.role-unknown', 'server.user-protected', 'server.directory-unfit', ...reached],
  },
  'directory.test': {
    method: 'POST',
    path: '/api/v1/directory/tests',
    permission: 'directory.write',
    summary: 'Ask every server of the directory at once, and say for each what failed where.',
    status: 200,
    answer: directoryTest,
    failures: ['server.no-directory'],
  },
  'directory.remove': {
    method: 'DELETE',
    path: '/api/v1/directory',
    permission: 'directory.write',
    summary: 'Forget the directory; its users lose their sign-ins and tokens. Without `apply` it only answers the plan.',
    query: z.object({ apply: z.stringbool().default(false).meta({ description: 'carry out the plan; otherwise only the plan is answered' }) }),
    status: 200,
    answer: z.object({ applied: z.boolean(), plan: z.array(z.string()) }),
    failures: ['server.no-directory', 'server.user-protected'],
  },
  'directory.computers': {
    method: 'GET',
    path: '/api/v1/directory/computers',
    permission: 'groups.write',
    summary: 'Computers of the directory under a base, as candidates for protection groups.',
    query: z.object({ base: z.string().min(1).max(1_000).regex(/=/) }),
    status: 200,
    answer: z.object({ computers: z.array(directoryComputer), isCut: z.boolean().meta({ description: 'there are more than 10,000' }) }),
    failures: ['server.no-directory', ...reached],
  },
} as const satisfies Record<string, Route>;
