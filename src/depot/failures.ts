import { failure } from '../base/failure.ts';

export const packageUnknown = failure<{ what: string }>('depot.package-unknown', {
  says: ({ what }) => `this distribution server has no ${what}`,
  hint: 'Build it with "npm run package" into the directory of the distribution server, or ask for another version or platform.',
  retry: 'later',
});

export const installTokenRefused = failure<{ why: string }>('depot.install-token-refused', {
  says: ({ why }) => `the token for a first installation was refused: ${why}`,
  hint: 'A token is for one host, works once and is over after an hour. Have the server make a new one.',
  retry: 'never',
});

export const notForThisPart = failure<{ part: string; what: string }>('depot.not-for-this-part', {
  says: ({ part, what }) => `a ${part} may not ${what}`,
  hint: 'Only the backup server may do that.',
  retry: 'never',
});

export const depotQuestion = failure<{ why: string }>('depot.question-not-understood', {
  says: ({ why }) => `the question was not understood: ${why}`,
  hint: 'The two services are of versions that do not fit together. Update the older one.',
  retry: 'never',
});

export const packageRefused = failure<{ file: string; why: string }>('depot.package-refused', {
  says: ({ file, why }) => `${file} is not taken: ${why}`,
  hint: 'Build it with the key of this distribution server ("npm run package -- --key DIR/signing.key"), or vouch for it with "tidemark package add --sign".',
  retry: 'never',
});
