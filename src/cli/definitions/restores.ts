import type { CommandDefinition } from '../command.ts';
import { apply, at, databaseSignIn, fromRepository, momentForms, plan, reason } from './options.ts';

export const restoreCommands: readonly CommandDefinition[] = [
  {
    name: 'restore set',
    takes: '<set>',
    summary: 'Bring a whole replica set to a moment, in data directories on one host or on several.',
    text: `Without --apply it prints the plan and changes nothing: the point, what is replayed, what is laid down where. The whole
way to the moment is checked before anything starts. A data directory that is already there is kept aside.

With --member the members are on hosts of their own, which lay them down side by side. None is touched before all are whole;
when one host fails, what was built on the others is taken back.

${momentForms}`,
    options: [
      at,
      fromRepository,
      { flags: '--node <name>', says: 'the host of the directories that name none (the server\'s own)' },
      { flags: '--member <host:port@node:dir>', says: 'a member: the address the others reach it by, the host it is on (--node), its data directory', many: true },
      { flags: '--to-dir <dir:port>', says: 'a member\'s data directory and port, when all are on one host; once for each member', many: true },
      { flags: '--host <name>', says: 'the name members reach each other by (127.0.0.1)' },
      { flags: '--name <newset>', says: 'name of the restored set (the old one)' },
      { flags: '--start', says: 'start the members and wait until the set takes writes' },
      plan,
      apply,
      reason,
    ],
    client: true,
    long: true,
    examples: [
      'tidemark restore set rs0 --at before:1795464567,96 --to-dir /data/r1:27117',
      'tidemark restore set rs0 --at latest --to-dir /data/r1:27117 --to-dir /data/r2:27118 --to-dir /data/r3:27119 --start --apply',
      'tidemark restore set rs0 --at latest --member 10.0.0.1:27017@db1:/data/r --member 10.0.0.2:27017@db2:/data/r --start --apply',
    ],
    exits: { 0: 'planned or restored' },
    see: ['tidemark window', 'tidemark publish start'],
    load: async () => (await import('../commands/restore.ts')).restoreSet,
  },
  {
    name: 'restore collections',
    takes: '<set>',
    summary: 'Bring collections, as they were at a moment, into a live set.',
    text: `Without --apply it prints the plan and changes nothing. A collection is built under a temporary name with its options
and indexes, and renamed when it is complete: a stopped or failed restore leaves the live data as it was.

The user that the set was added with needs readWriteAnyDatabase and dbAdminAnyDatabase besides. --into with --user and
--password-file names another user, of the same set or of another one; what lacks is named before anything starts.

${momentForms}`,
    options: [
      at,
      fromRepository,
      { flags: '--ns <db.coll[=db.coll]>', says: 'a collection, and its new name if another; once for each', many: true, required: true },
      { flags: '--existing <how>', says: 'when the name is taken: refuse (default), aside (rename the old one), replace', choices: ['refuse', 'aside', 'replace'] },
      { flags: '--into <uri>', says: 'another set than the live one it came from, or the same one with another user' },
      ...databaseSignIn.map((option) => ({ ...option, says: `for --into: ${option.says}` })),
      plan,
      apply,
      reason,
    ],
    client: true,
    long: true,
    examples: [
      'tidemark restore collections rs0 --at before:1795464567,96 --ns shop.orders=shop.orders_restored --apply',
      'tidemark restore collections rs0 --at 2026-11-23T14:05:00Z --ns shop.orders --existing aside --apply',
    ],
    exits: { 0: 'planned or restored' },
    see: ['tidemark oplog find', 'tidemark publish start'],
    load: async () => (await import('../commands/restore.ts')).restoreCollections,
  },
  {
    name: 'publish start',
    takes: '<set>',
    summary: 'Publish a moment: a mongod on a mounted restore point, to look at with any tool.',
    text: `Prints how to connect as soon as it can be used. Nothing is copied, and nothing can be written in it: the moment stays
as it was. The set's own users sign in.

${momentForms}`,
    options: [
      at,
      fromRepository,
      { flags: '--port <port>', says: 'port to answer on (a free one)' },
      { flags: '--expires <duration>', says: 'when it ends by itself: 30m, 8h, 2d (8h)' },
      { flags: '--no-users', says: 'let anyone on this machine connect, without signing in' },
      reason,
    ],
    client: true,
    long: true,
    examples: ['tidemark publish start rs0 --at 1795464567,96', 'tidemark publish start rs0 --at latest --port 27500 --expires 30m --json'],
    exits: { 0: 'it can be used' },
    see: ['tidemark publish list', 'tidemark publish stop'],
    load: async () => (await import('../commands/publish.ts')).startPublication,
  },
  {
    name: 'publish list',
    takes: '',
    summary: 'List the published moments.',
    options: [],
    client: true,
    examples: ['tidemark publish list'],
    see: ['tidemark publish start'],
    load: async () => (await import('../commands/publish.ts')).listPublications,
  },
  {
    name: 'publish stop',
    takes: '<publication>',
    summary: 'Stop a published moment.',
    options: [],
    client: true,
    examples: ['tidemark publish stop 0193f2a1c0de5eed01020304'],
    see: ['tidemark publish list'],
    load: async () => (await import('../commands/publish.ts')).stopPublication,
  },
];
