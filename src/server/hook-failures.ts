import { failure } from '../base/failure.ts';

export const hookUnknown = failure<{ hook: string }>('server.hook-unknown', {
  says: ({ hook }) => `there is no hook ${hook}`,
  hint: 'Run "tidemark hook list" for the ids of those there are.',
  retry: 'never',
});

export const hookFailed = failure<{ program: string; moment: string; status: string; isStored: boolean }>('server.hook-failed', {
  says: ({ program, moment, status, isStored }) => `the hook ${program} ${moment} the backup failed: ${status}${isStored ? '; the restore point is stored and proved' : ''}`,
  hint: 'The lines before it in the session\'s log are what it printed. With --on-failure warn (onFailure: warn in a policy) a session goes on.',
  retry: 'later',
});
