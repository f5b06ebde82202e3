/**
 * Exit codes, the same for every command: 0 done · 1 failed · 2 usage · 3 finished in part (warnings) · 4 not allowed ·
 * 5 busy. Failures carry codes of their own; this table alone turns them into exit codes.
 */
import type { WireFailure } from '../base/failure.ts';

/** A session's end states, as contract/sessions.ts lists them. */
type SessionLike = { readonly state: string; readonly failure: Pick<WireFailure, 'code'> | null };

export const exitCodes = { done: 0, failed: 1, usage: 2, part: 3, notAllowed: 4, busy: 5 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const usageCodes = /^cli\.usage$|^domain\.moment-(not-understood|without-zone)$|^(contract\.uri|agent\.match)-not-understood$|^server\.(question|request|time-zone)-\S+$/;
const notAllowedCodes = /^server\.(not-allowed|not-in-reach|user-protected|not-signed-in|sign-in-\S+|point-held)$/;
const busyCodes = /-busy$|^agent\.too-many-tasks$|^cli\.data-directory-in-use$|-locked$|^server\.repository-held$|^server\.too-many-\S+$/;

export function exitCodeOf(failure: Pick<WireFailure, 'code'>): ExitCode {
  if (usageCodes.test(failure.code)) return exitCodes.usage;
  if (notAllowedCodes.test(failure.code)) return exitCodes.notAllowed;
  if (busyCodes.test(failure.code)) return exitCodes.busy;
  return exitCodes.failed;
}

/** For a session that has ended; one that still runs was left running on purpose or lost sight of. */
export function exitCodeOfSession(session: SessionLike): ExitCode {
  switch (session.state) {
    case 'success':
      return exitCodes.done;
    case 'warning':
      return exitCodes.part;
    case 'failed':
      return session.failure === null ? exitCodes.failed : exitCodeOf(session.failure);
    default:
      return exitCodes.failed;
  }
}
