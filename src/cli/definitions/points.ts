import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

export const pointCommands: readonly CommandDefinition[] = [
  {
    name: 'point list',
    takes: '[set]',
    summary: 'List restore points, oldest first.',
    options: [],
    client: true,
    examples: ['tidemark point list', 'tidemark point list rs0 --json'],
    see: ['tidemark window', 'tidemark point show'],
    load: async () => (await import('../commands/point.ts')).listPoints,
  },
  {
    name: 'point show',
    takes: '<restore-point>',
    summary: 'Show one restore point: its moment, how it was copied, sizes, proof.',
    options: [],
    client: true,
    examples: ['tidemark point show 0193f2a1c0de5eed01020304'],
    see: ['tidemark point verify'],
    load: async () => (await import('../commands/point.ts')).showPoint,
  },
  {
    name: 'point verify',
    takes: '<restore-point>',
    summary: 'Open a restore point with a real mongod, bring it to a moment and look at it.',
    text: `Lists and counts every collection and validates a bounded part. With --full every collection is validated and the
database hashes are taken. The point itself is not changed; what was found is kept with it.`,
    options: [
      { flags: '--full', says: 'validate everything and take dbHash' },
      { flags: '--at <moment>', says: 'bring it to this moment (the point\'s own)' },
    ],
    client: true,
    long: true,
    examples: ['tidemark point verify 0193f2a1c0de5eed01020304', 'tidemark point verify 0193f2a1c0de5eed01020304 --full --at 1795464567,96'],
    see: ['tidemark repository check'],
    load: async () => (await import('../commands/point.ts')).verifyPoint,
  },
  {
    name: 'point hold',
    takes: '<restore-point>',
    summary: 'Hold a restore point: it is not deleted until it is released.',
    options: [{ flags: '--reason <text>', says: 'why, shown with the point', required: true }],
    client: true,
    examples: ['tidemark point hold 0193f2a1c0de5eed01020304 --reason "audit 2026"'],
    see: ['tidemark point release'],
    load: async () => (await import('../commands/point.ts')).holdPoint,
  },
  {
    name: 'point release',
    takes: '<restore-point>',
    summary: 'Release a held restore point.',
    options: [],
    client: true,
    examples: ['tidemark point release 0193f2a1c0de5eed01020304'],
    see: ['tidemark point hold'],
    load: async () => (await import('../commands/point.ts')).releasePoint,
  },
  {
    name: 'point delete',
    takes: '<restore-point>...',
    summary: 'Delete restore points, and the oplog that only they needed.',
    text: `Without --apply it prints the plan and changes nothing: what would go, what depends on it, the moments that could no
longer be reached. Space comes back at the next sweep, not at once.`,
    options: [apply],
    client: true,
    examples: ['tidemark point delete 0193f2a1c0de5eed01020304', 'tidemark point delete 0193f2a1c0de5eed01020304 --apply'],
    exits: { 0: 'planned or deleted', 3: 'some were deleted, the rest are listed', 4: 'not allowed, or held', 5: 'a session is using one of them' },
    see: ['tidemark point list', 'tidemark repository sweep'],
    load: async () => (await import('../commands/point.ts')).deletePoints,
  },
];
