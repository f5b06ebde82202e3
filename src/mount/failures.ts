import { failure } from '../base/failure.ts';

export const mountRefused = failure<{ directory: string; why: string }>('mount.refused', {
  says: ({ directory, why }) => `the kernel does not mount a file system at ${directory}: ${why}`,
  hint: 'Give the service /dev/fuse and CAP_SYS_ADMIN, or let it make user namespaces. Without either, points are laid down as files.',
  retry: 'never',
});

export const mountNoWay = failure<{ tried: string }>('mount.no-way', {
  says: ({ tried }) => `no way to show a restore point as files worked: ${tried}`,
  hint: 'Each way is named with its reason. Laying files down needs free space of the size of the point in the work directory.',
  retry: 'later',
});

export const mountNoRoom = failure<{ directory: string; pointBytes: number; needsBytes: number; hasBytes: number }>('mount.no-room', {
  says: ({ directory, pointBytes, needsBytes, hasBytes }) =>
    `${directory} has ${(hasBytes / 1e9).toFixed(2)} GB free; to lay down ${(pointBytes / 1e9).toFixed(2)} GB of files, ${(needsBytes / 1e9).toFixed(2)} GB must be free: their size and a twentieth to spare`,
  hint: 'Free space there, or let restore points be mounted, which needs no space for them: "tidemark doctor" says what that lacks.',
  retry: 'later',
});

export const mountSilent = failure<{ seconds: number; lastWords: string }>('mount.silent', {
  says: ({ seconds, lastWords }) => `the mount process was not ready within ${seconds} s${lastWords === '' ? '' : `; it said last: ${lastWords}`}`,
  hint: 'See the log of the mount process; a repository on a slow disk may need a longer deadline.',
  retry: 'later',
});

export const mountProcessEnded = failure<{ status: string; lastWords: string }>('mount.process-ended', {
  says: ({ status, lastWords }) => `the mount process ended with ${status}${lastWords === '' ? '' : `: ${lastWords}`}`,
  hint: 'A mongod on this mount has stopped too. Nothing in the repository was changed: start the task again.',
  retry: 'later',
});

export const overlayInUse = failure<{ directory: string }>('mount.overlay-in-use', {
  says: ({ directory }) => `another mount keeps its writes in ${directory}`,
  hint: 'Close that mount first; two servers on the same overlay would overwrite each other.',
  retry: 'later',
});

export const overlayForeign = failure<{ directory: string }>('mount.overlay-foreign', {
  says: ({ directory }) => `the writes kept in ${directory} belong to another restore point`,
  hint: 'Use the restore point that the overlay was made on, or an empty directory.',
  retry: 'never',
});

export const overlayDamaged = failure<{ directory: string; line: number }>('mount.overlay-damaged', {
  says: ({ directory, line }) => `line ${line} of the journal in ${directory} is damaged`,
  hint: 'The writes kept there cannot be trusted. Mount the restore point with an empty directory.',
  retry: 'never',
});

export const overlayLost = failure<{ directory: string }>('mount.overlay-lost', {
  says: ({ directory }) => `the writes kept in ${directory} are from before this machine was started, and were never forced to disk`,
  hint: 'They were meant to be thrown away. Mount the restore point with an empty directory.',
  retry: 'never',
});

export const mountPointInUse = failure<{ directory: string }>('mount.mount-point-in-use', {
  says: ({ directory }) => `something is mounted at ${directory} already`,
  hint: 'Unmount it, or use another directory.',
  retry: 'never',
});

export const pathRefused = failure<{ path: string }>('mount.path-refused', {
  says: ({ path }) => `the restore point has a file at ${JSON.stringify(path)}, which is no path inside a data directory`,
  hint: 'Run "tidemark repository check" on the repository; no sound backup writes such a path.',
  retry: 'never',
});

export const mountUnreadable = failure<{ path: string; operation: string; why: string }>('mount.unreadable', {
  says: ({ path, operation, why }) => `the mount could not answer a ${operation} of ${path}: ${why}`,
  hint: 'Run "tidemark repository check --read-data" on the repository; the log of the mount has every such answer.',
  retry: 'later',
});

export const mountUnwritable = failure<{ path: string; operation: string; why: string }>('mount.unwritable', {
  says: ({ path, operation, why }) => `the mount could not keep a ${operation} of ${path}: ${why}`,
  hint: 'Look at the room on the disk of the work directory. Nothing is wrong with the restore point.',
  retry: 'later',
});

export const readShort = failure<{ path: string; from: number; wanted: number; got: number }>('mount.read-short', {
  says: ({ path, from, wanted, got }) => `asked for ${wanted} bytes of ${path} at ${from}, got ${got}`,
  hint: 'Run "tidemark repository check --read-data" on the repository.',
  retry: 'never',
});
