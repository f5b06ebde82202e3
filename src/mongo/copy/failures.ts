import { failure } from '../../base/failure.ts';

export const copyNotPossible = failure<{ member: string; reasons: readonly string[] }>('mongo.copy-not-possible', {
  says: ({ member, reasons }) => `no copy of ${member} could be taken: ${reasons.join('; ')}`,
  hint: 'Keep the dbPath of a secondary on a file system with reflinks (XFS, Btrfs): there a copy needs no lock and no luck.',
  retry: 'later',
});

export const fileUnreadable = failure<{ path: string; why: string }>('mongo.copy-file-unreadable', {
  says: ({ path, why }) => `cannot read ${path}: ${why}`,
  hint: 'The transport service must run as root or as the user that owns the data directory of mongod.',
  retry: 'never',
});

export const notADataDirectory = failure<{ path: string; why: string }>('mongo.copy-no-data-directory', {
  says: ({ path, why }) => `${path} is not the data directory of a running mongod: ${why}`,
  hint: 'Look at storage.dbPath in the answer of getCmdLineOpts, and at the mounts of this host.',
  retry: 'never',
});

export const noCheckpointYet = failure<{ member: string; why: string }>('mongo.copy-no-checkpoint', {
  says: ({ member, why }) => `${member} has no stable checkpoint to copy: ${why}`,
  hint: 'A member that has just joined writes its first one within two minutes.',
  retry: 'later',
});

export const lockRefused = failure<{ member: string; why: string }>('mongo.copy-lock-refused', {
  says: ({ member, why }) => `${member} was not locked: ${why}`,
  hint: 'The member was left as it was. A lock is taken on a secondary that nobody else has locked.',
  retry: 'later',
});

export const lockLost = failure<{ member: string; why: string }>('mongo.copy-lock-lost', {
  says: ({ member, why }) => `the lock on ${member} ended before the copy was complete: ${why}`,
  hint: 'What was read is not used. The next run reads less under the lock, because what it stored already stays stored.',
  retry: 'later',
});

export const guardianGone = failure<{ member: string; status: string }>('mongo.copy-guardian-gone', {
  says: ({ member, status }) => `the guardian of the lock on ${member} ended with ${status}`,
  hint: 'Its lock was looked for and undone. See the log of the transport service for what it printed.',
  retry: 'later',
});

export const lockNotUndone = failure<{ member: string; why: string }>('mongo.copy-lock-not-undone', {
  says: ({ member, why }) => `a lock of ours may still be held on ${member}: ${why}`,
  hint: 'Run db.fsyncUnlock() on that member; db.currentOp().fsyncLock says whether it is locked.',
  retry: 'later',
});
