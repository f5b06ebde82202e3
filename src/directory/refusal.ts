import type { ResultCodeError } from 'ldapts';

/** Why a directory does not take a password. `wrong` is also a name that is not there: the two are never told apart. */
export type Refusal = 'wrong' | 'locked' | 'disabled' | 'expired' | 'password-expired' | 'password-reset' | 'not-now';

/** Active Directory's own codes, in the text of result 49: `… AcceptSecurityContext error, data 52e, v4f7c`. Samba writes the same. */
const byData: Readonly<Record<string, { kind: Refusal; says: string }>> = {
  '525': { kind: 'wrong', says: 'user or password is wrong' },
  '52e': { kind: 'wrong', says: 'user or password is wrong' },
  '530': { kind: 'not-now', says: 'it may not sign in at this time' },
  '531': { kind: 'not-now', says: 'it may not sign in from here' },
  '532': { kind: 'password-expired', says: 'its password has expired' },
  '533': { kind: 'disabled', says: 'the account is disabled' },
  '701': { kind: 'expired', says: 'the account has expired' },
  '773': { kind: 'password-reset', says: 'its password has to be changed first' },
  '775': { kind: 'locked', says: 'the account is locked' },
};

const invalidCredentials = 49;

export function refusalOf(error: Pick<ResultCodeError, 'code' | 'message'>): { kind: Refusal; says: string } {
  const data = /\bdata ([0-9a-f]{3,4})\b/i.exec(error.message)?.[1]?.toLowerCase();
  if (error.code === invalidCredentials) return (data === undefined ? undefined : byData[data]) ?? { kind: 'wrong', says: 'user or password is wrong' };
  if (error.code === 8) return { kind: 'not-now', says: 'it wants an encrypted connection (--encryption starttls or ldaps)' };
  if (error.code === 34) return { kind: 'wrong', says: 'the name is not a name that it knows' };
  if (error.code === 53) return { kind: 'disabled', says: 'it is unwilling: the account may be disabled' };
  return { kind: 'not-now', says: error.message.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 200) };
}
