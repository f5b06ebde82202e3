import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

export const nodeCommands: readonly CommandDefinition[] = [
  {
    name: 'node list',
    takes: '',
    summary: 'List the hosts that work for this server and how each is connected.',
    text: `With --filter: unmanaged, those without services of ours, computers that groups have found among them; out-of-date, those
whose transport service is older than the server; offline, those that have enrolled and are not connected; untrusted, those
whose SSH key waits to be admitted.`,
    options: [{ flags: '--filter <filter>', says: 'only these', choices: ['unmanaged', 'out-of-date', 'offline', 'untrusted'] }],
    client: true,
    examples: ['tidemark node list', 'tidemark node list --filter offline'],
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
    name: 'node trust',
    takes: '[host]',
    summary: 'Trust the SSH key of a host that waits; without a host, list those that wait.',
    text: `A host waits when its key is not known and the mode is manual, or when it shows another key than the one that is
trusted: then somebody may stand between. Without --apply it prints the key to compare and changes nothing.`,
    options: [
      { flags: '--fingerprint <sha256>', says: 'only this key, as compared on the host (SHA256:…)' },
      { flags: '--port <port>', says: 'of its sshd (22)' },
      { flags: '--mode <mode>', says: 'for all hosts: trust at first use (automatic, the default), or wait (manual)', choices: ['automatic', 'manual'] },
      apply,
    ],
    client: true,
    examples: ['tidemark node trust', 'tidemark node trust 10.0.0.11 --fingerprint SHA256:Yc0… --apply', 'tidemark node trust --mode manual'],
    exits: { 0: 'listed, planned or trusted', 1: 'it shows another key' },
    see: ['tidemark node list'],
    load: async () => (await import('../commands/trust.ts')).trustNode,
  },
  {
    name: 'node install',
    takes: '<node>',
    summary: 'Install the transport service on a host over SSH; it enrols by itself.',
    text: `The host is one that "node add" expects. Its SSH key is recorded at first use, or has to be trusted first ("node trust");
a changed key fails. The package is a .deb or .rpm of tidemark-transport on the machine of the server.`,
    options: [
      { flags: '--credential <name>', says: 'how to sign in and become root ("credential add")', required: true },
      { flags: '--package <file>', says: 'the package', required: true },
    ],
    client: true,
    long: true,
    examples: ['tidemark node install db1 --credential root-at-db --package /root/tidemark-transport_0.1.0_amd64.deb'],
    see: ['tidemark node add', 'tidemark credential add'],
    load: async () => (await import('../commands/node.ts')).installNode,
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
