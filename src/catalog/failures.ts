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

export const catalogUnreachable = failure<{ place: string; why: string }>('catalog.unreachable', {
  says: ({ place, why }) => `the catalog at ${place} does not answer: ${why}`,
  hint: 'Look at the database and the way to it. What runs on hosts goes on, and sessions are taken up again when it answers.',
  retry: 'later',
});

export const databaseNotTrusted = failure<{ place: string; why: string }>('catalog.not-trusted', {
  says: ({ place, why }) => `the database at ${place} does not prove who it is: ${why}`,
  hint: 'See that it speaks TLS with a certificate for the name or address that is given here; name the authority of one of its own with ?sslmode=verify-full&sslrootcert=FILE. No password was sent.',
  retry: 'later',
});

export const databaseTooOld = failure<{ place: string; version: string; least: number }>('catalog.database-too-old', {
  says: ({ place, version, least }) => `the database at ${place} is PostgreSQL ${version}, and a catalog needs ${least} or newer`,
  hint: 'Upgrade it (pg_upgrade, or pg_dump and pg_restore into a newer one), or name another one. Nothing was changed.',
  retry: 'never',
});

export const catalogPlaceBad = failure<{ place: string; why: string }>('catalog.place-bad', {
  says: ({ place, why }) => `${place} is no place for a catalog: ${why}`,
  hint: 'Give it as postgres://USER@HOST:PORT/DATABASE, with the password in a file of its own.',
  retry: 'never',
});

export const serverReplaced = failure<{ server: string }>('catalog.server-replaced', {
  says: ({ server }) => `server ${server} was silent for longer than its lease, and its sessions were taken over`,
  hint: 'It starts again by itself. Where this happens often, look at the load of the machine and the way to the database.',
  retry: 'later',
});

export const alreadyBegun = failure<{ claim: string; session: string }>('catalog.already-begun', {
  says: ({ claim, session }) => `session ${session} was begun for ${claim} already`,
  hint: 'It is followed in place of a second one. Nothing has to be done.',
  retry: 'never',
});

export const backupWanted = failure<{ place: string; migration: string }>('catalog.backup-wanted', {
  says: ({ place, migration }) => `the catalog at ${place} has to be brought to ${migration}, and nobody has said that it was backed up`,
  hint: 'End every server on it, back the database up (pg_dump --format=custom), and start one server with --catalog-backed-up.',
  retry: 'never',
});
