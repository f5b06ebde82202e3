/** Answers of the REST API with everything filled in; a test changes what it is about. */
import type { RouteAnswer } from '../../src/contract/routes.ts';
import type { Session, SessionEvent } from '../../src/contract/sessions.ts';

const point = {
  id: '0193aa',
  setId: 'a'.repeat(24),
  setName: 'rs0',
  createdAtMs: 1_795_464_567_000,
  checkpoint: { t: 1_795_464_500, i: 1 },
  top: { t: 1_795_464_560, i: 96, term: 3 },
  method: 'clone',
  copied: 'incremental',
  source: 'db2:27018',
  mongoVersion: '6.0.5',
  featureCompatibilityVersion: '6.0',
  chain: 'c1',
  bytes: { processed: 3_500_000_000, read: 1_200_000_000, transferred: 90_000_000, stored: 41_000_000 },
  files: 42,
  proof: { level: 'open', atMs: 1_795_464_600_000, ok: true, says: '12 collections' },
  copiedFrom: null,
} as const satisfies RouteAnswer<'set.window'>['points'][number];

export function pointAnswer(changes: Partial<RouteAnswer<'point.show'>> = {}): RouteAnswer<'point.show'> {
  return { ...point, repository: 'local', hold: null, lost: false, hurt: false, ...changes };
}

export function sessionAnswer(changes: Partial<Session> = {}): Session {
  return {
    id: '0193bb',
    kind: 'backup',
    object: { kind: 'set', id: point.setId, name: 'rs0' },
    state: 'working',
    createdAtMs: 1_795_464_560_000,
    startedAtMs: 1_795_464_561_000,
    endedAtMs: null,
    steps: [],
    progress: null,
    warnings: 0,
    result: null,
    failure: null,
    reason: null,
    retryOf: null,
    isPlan: false,
    ...changes,
  };
}

export const backupResult = {
  kind: 'backup',
  point: point.id,
  method: 'clone',
  copied: 'incremental',
  bytes: point.bytes,
  seconds: 4.2,
  lockedMs: 0,
  verified: true,
} as const satisfies Session['result'];

export function windowAnswer(changes: Partial<RouteAnswer<'set.window'>> = {}): RouteAnswer<'set.window'> {
  return {
    set: 'rs0',
    from: { t: 1_795_464_500, i: 1 },
    to: { t: 1_795_468_000, i: 5 },
    lossIfDisasterNowSeconds: 3,
    spans: [{ chain: 'c1', after: { t: 1_795_464_400, i: 1 }, through: { t: 1_795_468_000, i: 5 } }],
    gaps: [],
    barriers: [],
    points: [point],
    damaged: [],
    oplog: { state: 'following', chain: 'c1', through: { t: 1_795_468_000, i: 5, term: 3 }, lagSeconds: 1, restorableTo: { t: 1_795_468_000, i: 5 }, lossIfDisasterNowSeconds: 3, needsBase: false, entriesPerSecond: 40, members: [{ member: 'db1:27017', heldSeconds: 600, reachSeconds: 10_800 }], says: null, session: 's9' },
    ...changes,
  };
}

export async function* eventsOf(...events: SessionEvent['event'][]): AsyncIterable<SessionEvent> {
  for (const [at, event] of events.entries()) yield { number: at + 1, atMs: 1_795_464_561_000 + at * 1000, event };
}
