import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

export const nodeCommands: readonly CommandDefinition[] = [
  {
    name: 'node list',
    takes: '',
    summary: 'List the hosts that work for this server and how each is connected.',
    options: [],
    client: true,
    examples: ['tidemark node list'],
    see: ['tidemark node add'],
    load: async () => (await import('../commands/node.ts')).listNodes,
  },
  {
    name: 'node add',
    takes: '<name> <address>',
    summary: 'Expect a host, and write the kit with which it enrols.',
    text: `The kit holds a one-time token that is good for a day: carry it to the host as a secret and start the transport
service there with it ("tidemark-transport --kit FILE"). No other port of the server answers a host before that.`,
    options: [
      { flags: '--kit <file>', says: 'where the kit is written, readable by you alone', required: true },
      { flags: '--control-port <port>', says: 'of its transport service (6162)' },
      { flags: '--deployer-port <port>', says: 'of its deployer service (6160)' },
      { flags: '--data-ports <from-to>', says: 'for data channels, one for each connection (2500-3300)' },
      { flags: '--dials-in', says: 'the host opens the link to the server, because the server may not dial it' },
    ],
    client: true,
    examples: ['tidemark node add db1 10.0.0.11 --kit /root/db1.kit', 'tidemark node add vault 10.0.0.20 --kit /root/vault.kit --data-ports 2500-2600'],
    see: ['tidemark node list', 'tidemark node kit'],
    load: async () => (await import('../commands/node.ts')).addNode,
  },
  {
    name: 'node kit',
    takes: '<node>',
    summary: 'Write a new kit for a host; earlier kits that were not used open nothing any more.',
    options: [{ flags: '--kit <file>', says: 'where it is written, readable by you alone', required: true }],
    client: true,
    examples: ['tidemark node kit db1 --kit /root/db1.kit'],
    see: ['tidemark node add'],
    load: async () => (await import('../commands/node.ts')).writeKit,
  },
  {
    name: 'node remove',
    takes: '<node>',
    summary: 'Remove a host: its certificates are refused at once.',
    text: 'Without --apply it prints the plan and changes nothing. What is installed on the host stays there.',
    options: [apply],
    client: true,
    examples: ['tidemark node remove db1', 'tidemark node remove db1 --apply'],
    exits: { 0: 'planned or removed', 5: 'a repository is on it, or a session works there' },
    see: ['tidemark node list'],
    load: async () => (await import('../commands/node.ts')).removeNode,
  },
];
