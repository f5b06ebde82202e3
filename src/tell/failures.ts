import { failure } from '../base/failure.ts';

export const notReached = failure<{ receiver: string; why: string }>('tell.not-reached', {
  says: ({ receiver, why }) => `${receiver} was not reached: ${why}`,
  hint: 'See that it runs, and that the way there is open: "tidemark ports check" tries rows 23 to 25.',
  retry: 'later',
});

export const notTrusted = failure<{ receiver: string; why: string }>('tell.not-trusted', {
  says: ({ receiver, why }) => `${receiver} did not prove who it is: ${why}`,
  hint: 'Name the authority of its certificate with --receiver-ca-file, and the receiver as its certificate does. Nothing was sent.',
  retry: 'later',
});

export const signInRefused = failure<{ receiver: string; why: string }>('tell.sign-in-refused', {
  says: ({ receiver, why }) => `${receiver} does not let this server in: ${why}`,
  hint: 'Give the right user and secret: remove the notification, and add it again with "tidemark notification add".',
  retry: 'later',
});

export const notNow = failure<{ receiver: string; why: string }>('tell.not-now', {
  says: ({ receiver, why }) => `${receiver} does not take it now: ${why}`,
  hint: 'It is tried again by itself for 24 hours.',
  retry: 'later',
});

export const refused = failure<{ receiver: string; why: string }>('tell.refused', {
  says: ({ receiver, why }) => `${receiver} does not take it: ${why}`,
  hint: 'The text after the colon is what the receiver answered. Such an answer is not asked for twice.',
  retry: 'never',
});

export const notSafe = failure<{ receiver: string; why: string }>('tell.not-safe', {
  says: ({ receiver, why }) => `nothing is sent to ${receiver}: ${why}`,
  hint: 'Secrets and reports leave only over connections that cannot be read on the way.',
  retry: 'never',
});
