import { failure } from '../base/failure.ts';

export const notReached = failure<{ tried: readonly string[] }>('directory.not-reached', {
  says: ({ tried }) => `no server of the directory could be asked: ${tried.join('; ')}`,
  hint: 'Run "tidemark directory test" for what fails where, and "tidemark ports check" for the way there.',
  retry: 'later',
});

export const notTrusted = failure<{ server: string; why: string }>('directory.not-trusted', {
  says: ({ server, why }) => `${server} did not prove that it is a server of the directory: ${why}`,
  hint: 'Name the authority of its certificate with "tidemark directory set --ca-file", and the server as its certificate does. No password was sent.',
  retry: 'never',
});

export const bindRefused = failure<{ server: string; user: string; why: string }>('directory.bind-refused', {
  says: ({ server, user, why }) => `${server} does not let the account ${user} in: ${why}`,
  hint: 'This is the account that looks things up. Give its name and password with "tidemark directory set".',
  retry: 'never',
});

export const searchRefused = failure<{ server: string; what: string; why: string }>('directory.search-refused', {
  says: ({ server, what, why }) => `${server} did not look for ${what}: ${why}`,
  hint: 'See that the base and the filters exist in this directory, and that its account may read there.',
  retry: 'never',
});

export const answerUnusable = failure<{ server: string; why: string }>('directory.answer-unusable', {
  says: ({ server, why }) => `the answer of ${server} was not read: ${why}`,
  hint: 'It is not what a directory answers. See what stands behind that address.',
  retry: 'later',
});
