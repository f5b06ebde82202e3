import * as z from 'zod';
import { taskKinds } from '../tasks.ts';
import type { Route } from '../route.ts';

const moment = z.enum(['before', 'after']);
const { program, args, deadlineSeconds } = taskKinds['run-hook'].input.shape;
const onFailure = z.enum(['fail', 'warn']);

export const hook = z.object({ id: z.string(), set: z.string(), moment, host: z.string(), program: z.string(), args: z.array(z.string()), deadlineSeconds: z.int(), onFailure }).meta({ id: 'Hook' });
export type Hook = z.infer<typeof hook>;

/** A hook that a policy brings to the backups of each of its sets. */
export const hookOfPolicy = hook.omit({ id: true, set: true }).extend({ policy: z.string() }).meta({ id: 'HookOfPolicy' });
export type HookOfPolicy = z.infer<typeof hookOfPolicy>;

export const hookRoutes = {
  'hook.add': {
    method: 'POST',
    path: '/api/v1/hooks',
    permission: 'hosts.write',
    summary: 'Run a program before or after each backup of a set. It has to be in the directory of hooks of its host, where root alone can put it.',
    body: z.object({ set: z.string().min(1), moment, host: z.string().min(1).default('local'), program, args: args.default([]), deadlineSeconds: deadlineSeconds.default(60), onFailure: onFailure.default('fail') }),
    status: 201,
    answer: hook.extend({ notes: z.array(z.string()).meta({ description: 'why it would not run as things stand on its host' }) }),
    failures: ['server.set-unknown', 'server.host-unknown'],
  },
  'hook.list': {
    method: 'GET',
    path: '/api/v1/hooks',
    permission: 'sets.read',
    summary: 'Every hook, in the order in which they run: those of a set, then those of the policy that runs.',
    status: 200,
    answer: z.object({ hooks: z.array(hook), ofPolicies: z.array(hookOfPolicy) }),
    failures: [],
  },
  'hook.remove': {
    method: 'DELETE',
    path: '/api/v1/hooks/:hook',
    permission: 'hosts.write',
    summary: 'Run this program no more. The file stays.',
    params: z.object({ hook: z.string().min(1) }),
    status: 200,
    answer: hook,
    failures: ['server.hook-unknown'],
  },
} as const satisfies Record<string, Route>;
