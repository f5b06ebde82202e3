/** Failures of bringing a copy to a moment. Those before the first start name the last safe moment. */
import { failure } from '../base/failure.ts';
import { type ClusterTime, sayTime } from '../base/cluster-time.ts';

type Safe = { readonly lastSafe: ClusterTime | null };

function goBack({ lastSafe }: Safe): string {
  return lastSafe === null
    ? 'Take another restore point: run "tidemark window" for the moments that can be reached.'
    : `Ask for ${sayTime(lastSafe)}, the last moment that this restore point can be brought to, or run "tidemark window" for all of them.`;
}

export const replayBeforeCheckpoint = failure<{ target: ClusterTime; checkpoint: ClusterTime } & Safe>(
  'mongo.replay-before-checkpoint',
  {
    says: ({ target, checkpoint }) =>
      `${sayTime(target)} is before ${sayTime(checkpoint)}, the moment the copied files are from`,
    hint: ({ checkpoint }) =>
      `A copy can only be brought forward. Take an earlier restore point, or ask for ${sayTime(checkpoint)} or later.`,
    retry: 'never',
  },
);

export const replayBeyondArchive = failure<{ target: ClusterTime; through: ClusterTime } & Safe>(
  'mongo.replay-beyond-archive',
  {
    says: ({ target, through }) => `${sayTime(target)} is after ${sayTime(through)}, the last entry in the archive`,
    hint: goBack,
    retry: 'later',
  },
);

export const replayGap = failure<{ target: ClusterTime; after: ClusterTime; resumesAt: ClusterTime } & Safe>(
  'mongo.replay-gap',
  {
    says: ({ target, after, resumesAt }) =>
      `between the copy and ${sayTime(target)} the archive has a gap: nothing after ${sayTime(after)} until ${sayTime(resumesAt)}`,
    hint: goBack,
    retry: 'never',
  },
);

export const replayNotCovered = failure<{ checkpoint: ClusterTime; from: ClusterTime | null } & Safe>(
  'mongo.replay-not-covered',
  {
    says: ({ checkpoint, from }) =>
      `the archive does not cover the copy: ${from === null ? 'it holds no entries of this history' : `it begins after ${sayTime(from)}`}, and the copied files are from ${sayTime(checkpoint)}`,
    hint: 'The entries that the copy carries itself must be compared with the archive. Take a restore point that was made while the oplog was archived.',
    retry: 'never',
  },
);

export const replayBarrier = failure<{ at: ClusterTime; what: string } & Safe>('mongo.replay-barrier', {
  says: ({ at, what }) => `${what} at ${sayTime(at)} cannot be replayed`,
  hint: goBack,
  retry: 'never',
});

export const replayVersion = failure<{ binary: string; binaryVersion: string; copyVersion: string }>(
  'mongo.replay-version',
  {
    says: ({ binary, binaryVersion, copyVersion }) =>
      `${binary} is MongoDB ${binaryVersion}, and the copied files were written by ${copyVersion}`,
    hint: ({ copyVersion }) =>
      `Install mongod ${copyVersion.split('.').slice(0, 2).join('.')} on this host; it need not run.`,
    retry: 'never',
  },
);

export const replayForeignArchive = failure<{ copySet: string; archiveSet: string }>('mongo.replay-foreign-archive', {
  says: ({ copySet, archiveSet }) => `the copy is of the replica set ${copySet}, the archive of ${archiveSet}`,
  hint: 'Take the restore point and the oplog from the same archive.',
  retry: 'never',
});

export const replayArchiveBroken = failure<{ why: string }>('mongo.replay-archive-broken', {
  says: ({ why }) => `the archived oplog is not one unbroken run: ${why}`,
  hint: 'Run "tidemark repository check" on the archive, and take a moment before the damage.',
  retry: 'never',
});

export const replayHistoryDiffers = failure<{ at: ClusterTime; why: string }>('mongo.replay-history-differs', {
  says: ({ at, why }) => `the copy and the archive tell different histories at ${sayTime(at)}: ${why}`,
  hint: 'The copy was made of writes that were rolled back, or the archive is of another set. Take another restore point.',
  retry: 'never',
});

export const replayCopyIncomplete = failure<{ checkpoint: ClusterTime; oldest: ClusterTime | null }>(
  'mongo.replay-copy-incomplete',
  {
    says: ({ checkpoint, oldest }) =>
      `the copy's own oplog begins at ${oldest === null ? 'nothing' : sayTime(oldest)}, after the moment ${sayTime(checkpoint)} its files are from`,
    hint: 'Such a copy cannot be recovered by mongod. Take another restore point.',
    retry: 'never',
  },
);

export const replayEntryTooLarge = failure<{ at: ClusterTime; bytes: number; why: string } & Safe>(
  'mongo.replay-entry-too-large',
  {
    says: ({ at, bytes, why }) =>
      `the entry at ${sayTime(at)} has ${bytes} bytes, and this mongod does not take it: ${why}`,
    hint: ({ lastSafe }) =>
      `Use the newest patch release of this major version, which takes larger entries${lastSafe === null ? '' : `, or ask for ${sayTime(lastSafe)}`}.`,
    retry: 'never',
  },
);

export const replayLoadFailed = failure<{ at: ClusterTime; why: string }>('mongo.replay-load-failed', {
  says: ({ at, why }) => `mongod did not take the archived entries from ${sayTime(at)} on: ${why}`,
  hint: 'The text after the colon is the answer of mongod. The files that were being brought to the moment are to be thrown away.',
  retry: 'later',
});

export const replayNotExact = failure<{ target: ClusterTime; why: string }>('mongo.replay-not-exact', {
  says: ({ target, why }) => `the replay did not end at ${sayTime(target)} as it must: ${why}`,
  hint: 'The files are not of the moment asked for and are to be thrown away. The log of the temporary mongod says what it did.',
  retry: 'never',
});

export const replayStopUnclean = failure<{ step: string; status: string }>('mongo.replay-stop-unclean', {
  says: ({ step, status }) => `the temporary mongod did not stop cleanly after it had to ${step}: ${status}`,
  hint: 'Start again with fresh files.',
  retry: 'later',
});

export const commandReplayRefused = failure<{ at: ClusterTime; what: string; why: string }>(
  'mongo.command-replay-refused',
  {
    says: ({ at, what, why }) => `${what} at ${sayTime(at)} cannot be replayed by commands: ${why}`,
    hint: 'Only native replay can pass this entry.',
    retry: 'never',
  },
);

export const commandReplayDiverged = failure<{ at: ClusterTime; ns: string; why: string }>(
  'mongo.command-replay-diverged',
  {
    says: ({ at, ns, why }) =>
      `the replay by commands met something on ${ns} up to ${sayTime(at)} that cannot be: ${why}`,
    hint: 'The base or the archive is not what it should be; nothing after this can be trusted.',
    retry: 'never',
  },
);
