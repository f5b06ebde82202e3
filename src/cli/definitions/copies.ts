import type { CommandDefinition } from '../command.ts';

const naming = 'A copy is named by SET/REPOSITORY, by its id, or by the set alone where it has one copy.';

export const copyCommands: readonly CommandDefinition[] = [
  {
    name: 'copy add',
    takes: '<set>',
    summary: 'Keep a copy of a set\'s restore points and archived oplog in another repository.',
    text: `The copy is made from the set's repository, never from the database, under the other repository's own key: it can be restored
from alone. Each new point is copied, and the oplog, gaps included. With --immediate after each backup, and the oplog all the
time; without a schedule only by "copy run". Copies have a retention of their own, and the newest three always stay.`,
    options: [
      { flags: '--to <repository>', says: 'the repository that gets the copy', required: true },
      { flags: '--keep <days>', says: 'days that a copied point stays (14)' },
      { flags: '--keep-points <n>', says: 'in place of days: so many of the newest stay' },
      { flags: '--oplog-keep <days>', says: 'days that any single moment can be reached (as long as a copied point leads to it)' },
      { flags: '--every <duration>', says: 'copy at this interval: 30m, 4h, 1d' },
      { flags: '--at <time>', says: 'copy each day at this time of the server\'s clock, such as 22:00' },
      { flags: '--immediate', says: 'copy after each backup, and the oplog all the time' },
    ],
    client: true,
    examples: ['tidemark copy add rs0 --to second --immediate', 'tidemark copy add rs0 --to tape-room --keep 90 --at 22:00'],
    see: ['tidemark copy run', 'tidemark restore set', 'docs/guide/second-copy.md'],
    load: async () => (await import('../commands/copy.ts')).addCopy,
  },
  {
    name: 'copy list',
    takes: '',
    summary: 'List the backup copies and how each stands.',
    options: [],
    client: true,
    examples: ['tidemark copy list'],
    see: ['tidemark copy show'],
    load: async () => (await import('../commands/copy.ts')).listCopies,
  },
  {
    name: 'copy show',
    takes: '<copy>',
    summary: 'Show one backup copy: from where to where, its schedule, retention and last run.',
    text: naming,
    options: [],
    client: true,
    examples: ['tidemark copy show rs0/second'],
    see: ['tidemark point list'],
    load: async () => (await import('../commands/copy.ts')).showCopy,
  },
  {
    name: 'copy run',
    takes: '<copy>',
    summary: 'Copy now what the other repository lacks, and apply the retention of the copies.',
    text: `A run that is stopped or killed hurts nothing; the next one takes up what was stored.
${naming}`,
    options: [],
    client: true,
    long: true,
    examples: ['tidemark copy run rs0', 'tidemark copy run rs0/second --json'],
    exits: { 3: 'some points or oplog could not be copied', 5: 'it is being copied already' },
    see: ['tidemark copy show', 'tidemark repository repair'],
    load: async () => (await import('../commands/copy.ts')).runCopy,
  },
  {
    name: 'copy remove',
    takes: '<copy>',
    summary: 'Copy no more. What was copied stays in the other repository.',
    text: naming,
    options: [],
    client: true,
    examples: ['tidemark copy remove rs0/second'],
    exits: { 5: 'it is being copied' },
    see: ['tidemark point delete'],
    load: async () => (await import('../commands/copy.ts')).removeCopy,
  },
];
