import { failure } from '../base/failure.ts';
import { type ClusterTime, sayTime, sayTimeInFull } from '../base/cluster-time.ts';

export const momentNotUnderstood = failure<{ text: string }>('domain.moment-not-understood', {
  says: ({ text }) => `"${text}" is not a moment`,
  hint: 'Give latest, the id of a restore point, an ISO 8601 time with a zone such as 2026-05-01T12:00:00Z, a cluster time such as 1795464567,96, or before:1795464567,96.',
  retry: 'never',
});

export const momentWithoutZone = failure<{ text: string }>('domain.moment-without-zone', {
  says: ({ text }) => `"${text}" has no time zone, so it could be any of many moments`,
  hint: 'Put Z after it for UTC, or an offset such as +02:00.',
  retry: 'never',
});

export const momentUnreachable = failure<{ at: ClusterTime | null; why: string; lastSafe: ClusterTime | null }>('domain.moment-unreachable', {
  says: ({ at, why }) => (at === null ? `no moment can be reached: ${why}` : `the moment ${sayTimeInFull(at)} cannot be reached: ${why}`),
  hint: ({ lastSafe }) =>
    lastSafe === null
      ? 'Run "tidemark window" for the moments that can be reached, or "tidemark backup run" for a first restore point.'
      : `The last moment before it that can be reached is ${sayTime(lastSafe)}. Run "tidemark window" for all of them.`,
  retry: 'never',
});

export const noSourceNode = failure<{ set: string; reasons: string }>('domain.no-source-node', {
  says: ({ set, reasons }) => `no member of ${set} can be the source of a backup: ${reasons}`,
  hint: 'Bring a secondary back, or let it catch up; then start the backup again. Without --source, and where its policy fails over, any fit secondary is taken.',
  retry: 'later',
});
