import type { CommandDefinition } from '../command.ts';
import { apply, plan } from './options.ts';

export const checkCommands: readonly CommandDefinition[] = [
  {
    name: 'check apply',
    takes: '<file>',
    summary: 'Make the own checks of policies be as a YAML file says. Other policies are left alone.',
    text: `A document for each policy: "policy", and "checks", a list. A check has a name, a collection (DATABASE.COLLECTION), one of
"count", "find" and "aggregate" in extended JSON, and "expect": "equals", or "atLeast" and "atMost". It only reads. The checks of
a set are asked whenever it is verified in full. Without --apply it shows what differs and changes nothing.`,
    options: [plan, apply],
    client: true,
    examples: ['tidemark check apply checks.yaml', 'tidemark check apply checks.yaml --apply'],
    see: ['tidemark check list', 'tidemark policy verify', 'docs/guide/verification.md'],
    load: async () => (await import('../commands/check.ts')).applyChecks,
  },
  {
    name: 'check list',
    takes: '[set]',
    summary: 'List own checks, when each set is verified in full, and how it went last.',
    options: [],
    client: true,
    examples: ['tidemark check list', 'tidemark check list rs0'],
    see: ['tidemark check apply'],
    load: async () => (await import('../commands/check.ts')).listChecks,
  },
  {
    name: 'policy verify',
    takes: '<policy>',
    summary: 'Verify each set of a policy in full now, at a moment that is chosen by chance.',
    text: `A real mongod opens the moment, everything is validated, and the own checks of the policy are asked. A policy does so by itself,
on Sundays at 03:00 unless it says otherwise. What is found bad is an alarm, and a new restore point is made.`,
    options: [],
    client: true,
    long: true,
    examples: ['tidemark policy verify nightly'],
    see: ['tidemark check list', 'tidemark point verify'],
    load: async () => (await import('../commands/check.ts')).verifyPolicy,
  },
];
