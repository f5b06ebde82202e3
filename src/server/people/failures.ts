import { failure } from '../../base/failure.ts';

export const signInRefused = failure('server.sign-in-refused', {
  says: () => 'user, password or code is wrong',
  hint: 'Try again; five wrong ones in fifteen minutes lock the name for as long.',
  retry: 'never',
});

export const signInLocked = failure<{ minutes: number }>('server.sign-in-locked', {
  says: ({ minutes }) => `this name is locked for ${minutes} more minutes after too many wrong passwords`,
  hint: 'Wait, or have it unlocked with "tidemark user unlock".',
  retry: 'later',
});

export const tooManySignIns = failure<{ seconds: number }>('server.too-many-sign-ins', {
  says: ({ seconds }) => `too many sign-ins at once or wrong ones from this address; it is listened to again in ${seconds} s`,
  hint: 'Wait. Programs use an API token ("tidemark token add") and do not sign in.',
  retry: 'later',
});

export const codeNeeded = failure('server.sign-in-code-needed', {
  says: () => 'this user has a second factor, and no code was given',
  hint: 'Give the code of the authenticator with "tidemark login --code".',
  retry: 'never',
});

export const passwordOld = failure('server.sign-in-password-old', {
  says: () => 'this password was set by somebody else and opens only its own change',
  hint: 'Give a new one with "tidemark login --new-password-file".',
  retry: 'never',
});

export const accountLocked = failure('server.sign-in-account-locked', {
  says: () => 'the account is locked in the directory',
  hint: 'The directory unlocks it by itself after a while, or its administrator does.',
  retry: 'later',
});

export const accountDisabled = failure('server.sign-in-account-disabled', {
  says: () => 'the account is disabled in the directory',
  hint: 'Ask the administrator of the directory.',
  retry: 'never',
});

export const accountExpired = failure('server.sign-in-account-expired', {
  says: () => 'the account has expired in the directory',
  hint: 'Ask the administrator of the directory.',
  retry: 'never',
});

export const passwordExpired = failure('server.sign-in-password-expired', {
  says: () => 'the password has expired in the directory',
  hint: 'Change it there, where the account signs in to its computer, then sign in here.',
  retry: 'never',
});

export const passwordReset = failure('server.sign-in-password-reset', {
  says: () => 'the directory wants the password changed before it is used',
  hint: 'Change it there, where the account signs in to its computer, then sign in here.',
  retry: 'never',
});

export const notNow = failure('server.sign-in-not-now', {
  says: () => 'the directory does not let this account sign in here or now',
  hint: 'Ask the administrator of the directory for its hours and machines.',
  retry: 'later',
});

export const noRole = failure<{ user: string }>('server.sign-in-no-role', {
  says: ({ user }) => `${user} is in no group of the directory that has a role here`,
  hint: 'Ask an administrator for the group; "tidemark directory set --role" gives groups their roles.',
  retry: 'never',
});

export const directoryAway = failure('server.directory-away', {
  says: () => 'the directory cannot be asked now',
  hint: 'Try again in a minute. The log of the server has why; so has "tidemark directory test" with the admin token.',
  retry: 'later',
});

export const signInUnchecked = failure<{ minutes: number }>('server.sign-in-unchecked', {
  says: ({ minutes }) => `the directory has not vouched for this account for ${minutes} minutes`,
  hint: 'It is heard again as soon as the directory can be asked; see "tidemark directory test" with the admin token.',
  retry: 'later',
});

export const signInNeeded = failure('server.sign-in-needed', {
  says: () => 'this is for a person who has signed in, and neither for an API token nor for the admin token',
  hint: 'Sign in with "tidemark login".',
  retry: 'never',
});

export const notInReach = failure<{ what: string; role: string }>('server.not-in-reach', {
  says: ({ what, role }) => `${what} is not in reach of the role ${role}`,
  hint: 'The role is narrowed to other objects; "tidemark whoami" shows it. Ask an administrator.',
  retry: 'never',
});

export const passwordWeak = failure<{ why: string }>('server.password-weak', {
  says: ({ why }) => `the new password is refused: ${why}`,
  hint: 'Take 12 characters or more that nobody would try; a few words at random are good.',
  retry: 'never',
});

export const userUnknown = failure<{ user: string }>('server.user-unknown', {
  says: ({ user }) => `no user is called ${user}`,
  hint: 'Run "tidemark user list" for the users there are.',
  retry: 'never',
});

export const userExists = failure<{ name: string }>('server.user-exists', {
  says: ({ name }) => `another user is called ${name}`,
  hint: 'Give another name, or change that user with "tidemark user edit".',
  retry: 'never',
});

export const userOfDirectory = failure<{ user: string }>('server.user-of-directory', {
  says: ({ user }) => `${user} is of the directory, which alone has the password and says which groups they are in`,
  hint: 'Change it there. "tidemark user disable" shuts them out here.',
  retry: 'never',
});

export const userProtected = failure<{ what: string }>('server.user-protected', {
  says: ({ what }) => what,
  hint: 'Ask an administrator; the admin token can do it, too.',
  retry: 'never',
});

export const secondFactorExists = failure('server.second-factor-exists', {
  says: () => 'the second factor is on already',
  hint: 'Turn it off with "tidemark second-factor off" first.',
  retry: 'never',
});

export const tokenUnknown = failure<{ token: string }>('server.token-unknown', {
  says: ({ token }) => `there is no token ${token}`,
  hint: 'Run "tidemark token list" for those there are.',
  retry: 'never',
});

export const tokenExists = failure<{ name: string }>('server.token-exists', {
  says: ({ name }) => `another token of yours is called ${name}`,
  hint: 'Give another name, or revoke that one with "tidemark token revoke".',
  retry: 'never',
});

export const roleUnknown = failure<{ role: string }>('server.role-unknown', {
  says: ({ role }) => `no role is called ${role}`,
  hint: 'Run "tidemark role list" for the roles there are.',
  retry: 'never',
});

export const roleExists = failure<{ role: string }>('server.role-exists', {
  says: ({ role }) => `another role is called ${role}`,
  hint: 'Give another name, or change that role with "tidemark role edit".',
  retry: 'never',
});

export const roleBuiltIn = failure<{ role: string }>('server.role-built-in', {
  says: ({ role }) => `the role ${role} is built in and stays as it is`,
  hint: 'Make one of your own with "tidemark role add".',
  retry: 'never',
});

export const roleInUse = failure<{ role: string; by: readonly string[] }>('server.role-in-use', {
  says: ({ role, by }) => `the role ${role} is in use: ${by.join(', ')}`,
  hint: 'Give them another one first, with "tidemark user edit" or "tidemark directory set".',
  retry: 'never',
});

export const roleUnfit = failure<{ why: string }>('server.role-unfit', {
  says: ({ why }) => `this cannot be a role: ${why}`,
  hint: 'See docs/guide/people.md for what a role can be narrowed to.',
  retry: 'never',
});

export const noDirectory = failure('server.no-directory', {
  says: () => 'no directory is set',
  hint: 'Set one with "tidemark directory set".',
  retry: 'never',
});

export const directoryUnfit = failure<{ why: string }>('server.directory-unfit', {
  says: ({ why }) => `these settings cannot be used: ${why}`,
  hint: 'See "tidemark directory set --help".',
  retry: 'never',
});
