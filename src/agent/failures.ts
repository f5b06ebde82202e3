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

export const directoryUnusable = failure<{ directory: string; why: string }>('agent.directory-unusable', {
  says: ({ directory, why }) => `${directory} cannot be restored into: ${why}`,
  hint: 'Each member needs a directory and a port of its own: an absolute path that is free, empty, or holds a data directory. Nothing there was touched.',
  retry: 'never',
});

export const placesNotTaken = failure<{ why: string; stuck: readonly string[] }>('agent.places-not-taken', {
  says: ({ why, stuck }) => `the restored directories could not be put in place: ${why}; ${stuck.length === 0 ? 'what was there is back in place' : `NOT undone: ${stuck.join('; ')}`}`,
  hint: 'Nothing that was there is lost. Mend the cause, move back by hand what is named, and restore again.',
  retry: 'never',
});

export const restoreNotLaid = failure<{ restore: string; stage: string }>('agent.restore-not-laid', {
  says: ({ restore, stage }) => `what restore ${restore} laid down on this host cannot be put in place: it is ${stage}`,
  hint: 'Nothing was touched. Start the restore again.',
  retry: 'now',
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

export const matchNotUnderstood = failure<{ match: string; why: string }>('agent.match-not-understood', {
  says: ({ match, why }) => `the fields to match, ${match}, are not extended JSON: ${why}`,
  hint: 'Give an object such as {"_id": 17} or {"_id": {"$oid": "65a1b2c3d4e5f60718293a4b"}}.',
  retry: 'never',
});

export const spaceMissing = failure<{ directory: string; needBytes: number; haveBytes: number }>('agent.space-missing', {
  says: ({ directory, needBytes, haveBytes }) =>
    `${directory} has ${(haveBytes / 1e9).toFixed(1)} GB free and the restore needs ${(needBytes / 1e9).toFixed(1)} GB`,
  hint: 'Free some space or name a directory on another volume.',
  retry: 'never',
});

export const repositoryFull = failure<{ place: string; dataBytes: number; needBytes: number; haveBytes: number; rule: string }>('agent.repository-full', {
  says: ({ place, dataBytes, needBytes, haveBytes, rule }) =>
    `${place} has ${(haveBytes / 1e9).toFixed(2)} GB free; a backup of ${(dataBytes / 1e9).toFixed(2)} GB of data wants ${(needBytes / 1e9).toFixed(2)} GB: ${rule}`,
  hint: 'Free space there, or delete restore points with "tidemark point delete" and run "tidemark repository sweep". Nothing was changed.',
  retry: 'later',
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
  hint: 'The data directories are complete and the members were stopped. Look at the members\' logs; start them with the printed commands.',
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
  hint: 'The log of the service has the rest: "journalctl -u" and its name on that host, on Windows in C:\\ProgramData\\Tidemark.',
  retry: 'never',
});

export const packageNotInstalled = failure<{ name: string }>('agent.package-not-installed', {
  says: ({ name }) => `${name} is not installed on this host`,
  hint: 'Install it first.',
  retry: 'never',
});

export const serverNotTrusted = failure<{ address: string; why: string }>('agent.server-not-trusted', {
  says: ({ address, why }) => `the server at ${address} is not the one of the kit: ${why}`,
  hint: 'Nothing was told to it. See that the address is right; if the server was set up anew, make a new kit with "tidemark node kit".',
  retry: 'never',
});

export const serverNotReached = failure<{ address: string; why: string }>('agent.server-not-reached', {
  says: ({ address, why }) => `the enrolment port ${address} was not reached: ${why}`,
  hint: 'See that the server runs and that this host may reach that port.',
  retry: 'later',
});

export const archiveElsewhere = failure<{ setId: string; host: string }>('agent.archive-elsewhere', {
  says: ({ setId, host }) => `the archive of set ${setId} is on ${host}, and this order is for the host it is on`,
  hint: 'This is a mistake in the order, not of yours. Report it with the server\'s log.',
  retry: 'never',
});

export const portRangeUsedUp = failure<{ from: number; to: number; why: string }>('agent.port-range-used-up', {
  says: ({ from, to, why }) => `no port of ${from}-${to} can be listened on: ${why}`,
  hint: 'Give the host another range, or end what holds its ports.',
  retry: 'later',
});

export const orderNotAllowed = failure<{ part: string; order: string }>('agent.order-not-allowed', {
  says: ({ part, order }) => `a ${part} may not give the order ${order}`,
  hint: 'Only the backup server may. A distribution server brings packages and nothing else.',
  retry: 'never',
});

export const packageKeyMissing = failure<{ path: string }>('agent.package-key-missing', {
  says: ({ path }) => `this host knows no key for packages: ${path} cannot be read`,
  hint: 'A kit brings it, when the server has a distribution server: make a new one with "tidemark node kit", and enrol with it.',
  retry: 'never',
});

export const contactRefused = failure<{ why: string }>('agent.contact-refused', {
  says: ({ why }) => `the installer service did not take it: ${why}`,
  hint: 'Run "tidemark node install" again: it puts a new installer there, with a new token.',
  retry: 'never',
});

export const installationFailed = failure<{ name: string; version: string; why: string }>('agent.installation-failed', {
  says: ({ name, version, why }) => `Windows Installer did not install ${name} ${version}: ${why}`,
  hint: 'The number is the one of msiexec; "msiexec /i FILE /l*v LOG" on that host tells more. Nothing was changed by it.',
  retry: 'later',
});

export const packageNotKept = failure<{ name: string; version: string }>('agent.package-not-kept', {
  says: ({ name, version }) => `the installer of ${name} ${version} is not kept on this host`,
  hint: 'Only versions that the deployer has installed can be gone back to. Install the one that is wanted: "tidemark node update".',
  retry: 'never',
});

export const rightsNotHere = failure<{ name: string }>('agent.rights-not-here', {
  says: ({ name }) => `${name} is given no other rights on Windows: it runs as the account that its service has`,
  hint: 'Sets are restored by hosts with Linux. A host with Windows keeps repositories and is a gateway to shares.',
  retry: 'never',
});

export const hookNotTrusted = failure<{ program: string; why: string }>('agent.hook-not-trusted', {
  says: ({ program, why }) => `the hook ${program} is not run: ${why}`,
  hint: 'Put it into /etc/tidemark/hooks.d as root, with mode 0755, and let nobody but root write there or above.',
  retry: 'never',
});

export const hookNotStarted = failure<{ program: string; why: string }>('agent.hook-not-started', {
  says: ({ program, why }) => `the hook ${program} could not be started: ${why}`,
  hint: 'It is started by /usr/bin/setpriv of util-linux; see that it is there.',
  retry: 'never',
});
