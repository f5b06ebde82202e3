import { failure } from '../base/failure.ts';

export const laneTaken = failure<{ lane: string; session: string }>('catalog.lane-taken', {
  says: ({ lane, session }) => `session ${session} has ${lane} for itself`,
  hint: 'Wait until that session has ended, or stop it.',
  retry: 'later',
});

export const migrationFailed = failure<{ migration: string; why: string }>('catalog.migration-failed', {
  says: ({ migration, why }) => `the catalog could not be brought to ${migration}: ${why}`,
  hint: 'Nothing of this step was kept. Start the version that made the catalog, or ask for help with this message.',
  retry: 'never',
});

export const catalogNewer = failure<{ migration: string }>('catalog.newer-than-server', {
  says: ({ migration }) => `the catalog was made by a newer version: it has ${migration}`,
  hint: 'Start the version that made it, or a newer one.',
  retry: 'never',
});

export const alreadyBegun = failure<{ claim: string; session: string }>('catalog.already-begun', {
  says: ({ claim, session }) => `session ${session} was begun for ${claim} already`,
  hint: 'It is followed in place of a second one. Nothing has to be done.',
  retry: 'never',
});
