import type { WireFailure } from '../../base/failure.ts';

/** The only place where a failure code becomes an HTTP status. The first row that fits counts. */
const table: readonly (readonly [RegExp, number])[] = [
  [/^server\.(not-signed-in$|sign-in-)/, 401],
  [/^server\.(not-allowed|not-in-reach|user-protected|enrolment-refused)$/, 403],
  [/^server\.too-many-/, 429],
  [/^server\.(question-|time-zone-|package-unreadable$|password-weak$|notification-unfit$|role-unfit$|directory-unfit$)/, 400],
  [/^server\.(answer-broken|secret-unreadable)$/, 500],
  [/^server\..*-unknown$|^server\.no-such-route$/, 404],
  [/^server\.(policy-(unfit|circle|verifies-nothing)|nothing-to-verify)$/, 422],
  [/^server\.policy-(enabled|not-running|nothing-failed)$|-busy$|-exists$|-taken$|-held$|-is-local$|^server\.takes-no-hosts$|^server\.session-|^server\.(set-changed|secrets-other)$|^server\.repository-(other|attached)$|^server\.(copy-to-itself|oplog-not-paused)$|^server\.no-depot$|^server\.(deployer|windows-installer)-missing$|^server\.host-key-other$|^server\.(credential-|set-in-group$|group-in-use$|set-ambiguous$|user-of-directory$|role-built-in$|role-in-use$|no-directory$)/, 409],
  [/^server\.(unhealthy$|host-|kit-|services-|rescan-|package-not-|directory-away$|lease-unsure$)|^catalog\.(unreachable|not-trusted|server-replaced)$|^contract\.link-|^agent\.too-many-tasks$/, 503],
  [/^server\.(task|oplog|data|deployment|restore|depot|service|installer|hook|verification)-/, 502],
  [/^domain\.|^server\.(platform-|members-unfit$|group-empty$)/, 422],
  [/^base\.deadline-passed$/, 504],
  [/^base\.(folder-not-ours|windows-call-failed)$/, 502],
  [/^(agent|directory|mongo|mount|mover|repository|contract|ssh|windows|look|tell)\./, 502],
];

export function httpStatusOf({ code }: Pick<WireFailure, 'code'>): number {
  return table.find(([pattern]) => pattern.test(code))?.[1] ?? 500;
}
