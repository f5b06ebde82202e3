import type { WireFailure } from '../../base/failure.ts';

/** The only place where a failure code becomes an HTTP status. The first row that fits counts. */
const table: readonly (readonly [RegExp, number])[] = [
  [/^server\.not-signed-in$/, 401],
  [/^server\.(not-allowed|enrolment-refused)$/, 403],
  [/^server\.too-many-/, 429],
  [/^server\.question-/, 400],
  [/^server\.(answer-broken|secret-unreadable)$/, 500],
  [/^server\..*-unknown$|^server\.no-such-route$/, 404],
  [/-busy$|-exists$|-taken$|-held$|-is-local$|^server\.session-|^server\.set-changed$|^server\.repository-other$/, 409],
  [/^server\.host-|^contract\.link-|^agent\.too-many-tasks$/, 503],
  [/^server\.(task|oplog|data)-/, 502],
  [/^domain\./, 422],
  [/^base\.deadline-passed$/, 504],
  [/^(agent|mongo|mount|mover|repository|contract)\./, 502],
];

export function httpStatusOf({ code }: Pick<WireFailure, 'code'>): number {
  return table.find(([pattern]) => pattern.test(code))?.[1] ?? 500;
}
