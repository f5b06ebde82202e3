import type { CommandDefinition } from '../command.ts';

export const portCommands: readonly CommandDefinition[] = [
  {
    name: 'ports matrix',
    takes: '',
    summary: 'Show the port plan: which machine must reach which, on what, and where each port is changed.',
    text: 'Computed from the machines that there are, with the ports they have now. docs/reference/ports.md explains the rows.',
    options: [{ flags: '--host <name>', says: 'only rows that come from this machine or lead to it' }],
    client: true,
    examples: ['tidemark ports matrix', 'tidemark ports matrix --host db1 --json'],
    see: ['tidemark ports check', 'tidemark ports export'],
    load: async () => (await import('../commands/ports.ts')).showMatrix,
  },
  {
    name: 'ports check',
    takes: '',
    summary: 'Have every machine try the ports it must reach, and look all names up in both directions.',
    text: `Each try is made by the real From host. Data ports, where nobody listens unless a job runs, are listened on for the
moment of the check. Outcomes: good, refused, timed-out, no-route, name-not-resolved, wrong-service, tls-refused, no-link
(a host takes no orders now), not-tried (nothing that could be tried would prove anything; not held against the plan).

Names of servers, hosts and members are asked for at each name server by itself, forward and in reverse, and on each host by its own
resolver. What is wrong is listed with the record that mends it; docs/guide/when-a-name-is-wrong.md says what to do for each. A short
name is listed and not held against the plan.`,
    options: [
      { flags: '--host <name>', says: 'only rows that come from this machine or lead to it' },
      { flags: '--row <n>', says: 'only this row of docs/reference/ports.md; may be given several times', many: true },
      { flags: '--wait <seconds>', says: 'how long one try may take (4)' },
      { flags: '--all', says: 'list the good rows as well' },
    ],
    client: true,
    examples: ['tidemark ports check', 'tidemark ports check --host db1 --row 13 --json'],
    exits: { 0: 'everything that could be tried is good', 1: 'the check could not be made', 3: 'something is not good; it is listed' },
    see: ['tidemark ports matrix', 'tidemark doctor'],
    load: async () => (await import('../commands/ports.ts')).checkPlan,
  },
  {
    name: 'ports export',
    takes: '',
    summary: 'Print the port plan as firewall rules, for one machine or for all of them.',
    text: `Rules let in what the plan needs and from whom, by address; none opens a port for everybody, and none sets a policy.
Those for nftables and iptables stand in a chain of their own: the text says how to jump there.`,
    options: [
      { flags: '--format <format>', says: 'for which firewall, or as data', choices: ['nftables', 'iptables', 'firewalld', 'ufw', 'netsh', 'csv', 'json'], required: true },
      { flags: '--host <name>', says: 'only the rules of this machine' },
      { flags: '--out <file>', says: 'write it there; a directory with a file for each machine when there are several' },
    ],
    client: true,
    examples: ['tidemark ports export --format nftables --host db1 --out /etc/nftables.d/tidemark.nft', 'tidemark ports export --format csv'],
    see: ['tidemark ports check'],
    load: async () => (await import('../commands/ports.ts')).exportPlan,
  },
];
