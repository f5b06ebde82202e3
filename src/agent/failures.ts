import { failure } from '../base/failure.ts';
import { showTime, type ClusterTime } from '../base/cluster-time.ts';

export const moverDied = failure<{ task: string; status: string; lastStep: string }>('agent.mover-died', {
  says: ({ task, status, lastStep }) => `the mover of task ${task} ended with ${status} while it was at "${lastStep}"`,
  hint: 'Earlier restore points are not touched and what was stored is used by the next run. Start the session again.',
  retry: 'now',
});

export const taskUnknown = failure<{ taskId: string }>('agent.task-unknown', {
  says: ({ taskId }) => `no task ${taskId} is known to this transport service`,
  hint: 'The service was restarted, or the result was already taken. Start the session again.',
  retry: 'never',
});

export const taskExists = failure<{ taskId: string; kind: string }>('agent.task-exists', {
  says: ({ taskId, kind }) => `task ${taskId} is already here and is of kind ${kind}`,
  hint: 'A task id names one task for ever. Use a new id.',
  retry: 'never',
});

export const tooManyTasks = failure<{ limit: number }>('agent.too-many-tasks', {
  says: ({ limit }) => `${limit} tasks run on this host already`,
  hint: 'Wait until one of them has ended.',
  retry: 'later',
});

export const oplogNotThere = failure<{ need: ClusterTime; have: ClusterTime | null; seconds: number }>('agent.oplog-not-archived-yet', {
  says: ({ need, have, seconds }) =>
    `the archived oplog reaches ${have === null ? 'nothing' : showTime(have)} after ${seconds} s, and the copy needs it up to ${showTime(need)}`,
  hint: 'The restore point is stored but cannot be proved yet. See "tidemark window" and the oplog session, then run "tidemark point verify".',
  retry: 'later',
});

export const directoryNotEmpty = failure<{ directory: string }>('agent.directory-not-empty', {
  says: ({ directory }) => `${directory} holds files that are not a mongod's data directory`,
  hint: 'Name an empty or new directory, or one that holds a data directory: that one is kept aside.',
  retry: 'never',
});

export const directoryInUse = failure<{ directory: string; pid: number }>('agent.directory-in-use', {
  says: ({ directory, pid }) => `mongod ${pid} is running on ${directory}`,
  hint: 'Stop that mongod first, or restore into another directory.',
  retry: 'never',
});

export const portInUse = failure<{ port: number }>('agent.port-in-use', {
  says: ({ port }) => `port ${port} is in use on this host`,
  hint: 'Name another port.',
  retry: 'never',
});

export const spaceMissing = failure<{ directory: string; needBytes: number; haveBytes: number }>('agent.space-missing', {
  says: ({ directory, needBytes, haveBytes }) =>
    `${directory} has ${(haveBytes / 1e9).toFixed(1)} GB free and the restore needs ${(needBytes / 1e9).toFixed(1)} GB`,
  hint: 'Free some space or name a directory on another volume.',
  retry: 'never',
});

export const chunksMissing = failure<{ point: string; count: number }>('agent.chunks-missing', {
  says: ({ point, count }) => `restore point ${point} lacks ${count} chunks in its repository`,
  hint: 'Run "tidemark repository check" to see which points are hurt, and use another point.',
  retry: 'never',
});

export const proofFailed = failure<{ point: string; what: string }>('agent.proof-failed', {
  says: ({ point, what }) => `restore point ${point} did not pass: ${what}`,
  hint: 'Do not rely on this point. Run "tidemark backup run" for a new one and "tidemark repository check --read-data".',
  retry: 'now',
});

export const setNotReady = failure<{ set: string; seconds: number; states: string }>('agent.set-not-ready', {
  says: ({ set, seconds, states }) => `replica set ${set} did not become ready within ${seconds} s: ${states}`,
  hint: 'The data directories are complete. Look at the members\' logs; start them with the printed commands.',
  retry: 'never',
});

export const publicationEnded = failure<{ port: number; status: string }>('agent.publication-ended', {
  says: ({ port, status }) => `the published mongod on port ${port} ended with ${status}`,
  hint: 'Nothing in the repository was changed. Publish the moment again; if it ends again, look at the log of the transport service.',
  retry: 'now',
});

export const settingsNotUnderstood = failure<{ path: string; why: string }>('agent.settings-not-understood', {
  says: ({ path, why }) => `the settings in ${path} cannot be used: ${why}`,
  hint: 'Mend the file and restart the service. docs/guide/hosts.md shows what it may hold.',
  retry: 'never',
});

export const beingUpdated = failure('agent.being-updated', {
  says: () => 'this transport service takes no new task because it is about to be updated',
  hint: 'Start the session again in some minutes.',
  retry: 'later',
});

export const deployerBusy = failure<{ with: string }>('agent.deployer-busy', {
  says: ({ with: what }) => `the deployer of this host is busy: ${what}`,
  hint: 'Wait until that is over: it has a deadline.',
  retry: 'later',
});

export const packageNotOffered = failure<{ sha256: string }>('agent.package-not-offered', {
  says: ({ sha256 }) => `no package with the checksum ${sha256} was offered to this host`,
  hint: 'Offer its manifest first. The deployer may have been restarted in between.',
  retry: 'now',
});

export const packageIncomplete = failure<{ name: string; version: string; have: number; bytes: number }>('agent.package-incomplete', {
  says: ({ name, version, have, bytes }) => `${name} ${version} is not all here: ${have} of ${bytes} bytes`,
  hint: 'Send the rest of it, from the byte that an offer answers.',
  retry: 'now',
});

export const packageDamaged = failure<{ name: string; version: string; why: string }>('agent.package-damaged', {
  says: ({ name, version, why }) => `the bytes of ${name} ${version} are not those of its manifest: ${why}`,
  hint: 'What was received is thrown away. Send the package again; if it happens again, the depot holds a damaged one.',
  retry: 'now',
});

export const wrongPlatform = failure<{ name: string; version: string; for: string; here: string }>('agent.wrong-platform', {
  says: ({ name, version, for: platform, here }) => `${name} ${version} is for ${platform}, and this host is ${here}`,
  hint: 'Take the package for the platform of this host.',
  retry: 'never',
});

export const olderVersion = failure<{ name: string; version: string; current: string }>('agent.older-version', {
  says: ({ name, version, current }) => `${name} ${version} is older than the ${current} that is installed`,
  hint: 'An older version is not installed over a newer one. Remove the package first if you mean it.',
  retry: 'never',
});

export const sessionsStillRunning = failure<{ count: number; kinds: string; seconds: number }>('agent.sessions-still-running', {
  says: ({ count, kinds, seconds }) => `${count} tasks still run after ${seconds} s: ${kinds}`,
  hint: 'Nothing was changed. Update when they have ended, or stop their sessions.',
  retry: 'later',
});

export const serviceNotHealthy = failure<{ name: string; version: string; why: string; now: string }>('agent.service-not-healthy', {
  says: ({ name, version, why, now }) => `${name} ${version} did not become healthy: ${why}; ${now}`,
  hint: 'The log of the service has the rest: "journalctl -u" and its name, on that host.',
  retry: 'never',
});

export const packageNotInstalled = failure<{ name: string }>('agent.package-not-installed', {
  says: ({ name }) => `${name} is not installed on this host`,
  hint: 'Install it first.',
  retry: 'never',
});
