import { failure } from '../base/failure.ts';

export const lookBroken = failure<{ host: string; why: string }>('look.answer-broken', {
  says: ({ host, why }) => `the look at ${host} gave no usable answer: ${why}`,
  hint: 'The host needs a POSIX shell with base64, as every Linux with glibc has.',
  retry: 'later',
});
