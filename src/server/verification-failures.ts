import { failure } from '../base/failure.ts';
import type { CheckOutcome } from '../contract/checks.ts';

export const verificationFailed = failure<{ point: string; at: string; checks: readonly CheckOutcome[] }>('server.verification-failed', {
  says: ({ point, at, checks }) => `${sayFailed(checks)} at ${at} of restore point ${point}`,
  hint: 'Publish the moment with "tidemark publish start" and look. If the data is as it should be, correct the check with "tidemark check apply".',
  retry: 'now',
});

export const nothingToVerify = failure<{ set: string }>('server.nothing-to-verify', {
  says: ({ set }) => `no moment of set ${set} can be brought back, so none can be verified`,
  hint: 'Run "tidemark window" for why, and "tidemark backup run" for a restore point.',
  retry: 'later',
});

export const policyVerifiesNothing = failure<{ policy: string }>('server.policy-verifies-nothing', {
  says: ({ policy }) => `policy ${policy} has no set that is protected`,
  hint: 'Name its sets with "tidemark policy edit", or protect them with "tidemark set add".',
  retry: 'never',
});

/** `1 of 3 own checks does not hold ("orders are there": 0 documents, expected at least 1)`. */
export function sayFailed(checks: readonly CheckOutcome[]): string {
  const failed = checks.filter(({ ok }) => !ok);
  return `${failed.length} of ${checks.length} own checks ${failed.length === 1 ? 'does' : 'do'} not hold (${failed.map(({ name, says }) => `"${name}": ${says}`).join('; ')})`;
}
