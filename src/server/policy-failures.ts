import { failure } from '../base/failure.ts';

export const policyUnknown = failure<{ policy: string }>('server.policy-unknown', {
  says: ({ policy }) => `no policy is called ${policy}`,
  hint: 'Run "tidemark policy list" for the policies there are.',
  retry: 'never',
});

export const policyExists = failure<{ name: string }>('server.policy-exists', {
  says: ({ name }) => `a policy is called ${name} already`,
  hint: 'Give another name, or change that one with "tidemark policy edit".',
  retry: 'never',
});

export const policyUnfit = failure<{ policy: string; problems: readonly string[] }>('server.policy-unfit', {
  says: ({ policy, problems }) => `policy ${policy} cannot be like this: ${problems.join('; ')}`,
  hint: 'See "tidemark policy add --help", and "tidemark policy example" for all that a policy takes.',
  retry: 'never',
});

export const policyCircle = failure<{ policy: string }>('server.policy-circle', {
  says: ({ policy }) => `policy ${policy} would run after itself`,
  hint: 'Name a policy that does not run after this one.',
  retry: 'never',
});

export const policyBusy = failure<{ policy: string; run: string }>('server.policy-busy', {
  says: ({ policy, run }) => `run ${run} of policy ${policy} is open`,
  hint: 'Wait until it has ended, or stop it with "tidemark policy stop".',
  retry: 'later',
});

export const policyEnabled = failure<{ policy: string }>('server.policy-enabled', {
  says: ({ policy }) => `policy ${policy} is enabled`,
  hint: 'Disable it with "tidemark policy disable" before it is removed.',
  retry: 'never',
});

export const policyNotRunning = failure<{ policy: string }>('server.policy-not-running', {
  says: ({ policy }) => `no run of policy ${policy} is open`,
  hint: 'Run "tidemark policy show" for how its last one ended.',
  retry: 'never',
});

export const policyNothingFailed = failure<{ policy: string }>('server.policy-nothing-failed', {
  says: ({ policy }) => `nothing failed in the last run of policy ${policy}`,
  hint: 'Run all of it with "tidemark policy run".',
  retry: 'never',
});
