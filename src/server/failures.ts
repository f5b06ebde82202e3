import { failure } from '../base/failure.ts';

export const setAmbiguous = failure<{ set: string; ids: readonly string[] }>('server.set-ambiguous', {
  says: ({ set, ids }) => `${ids.length} sets are called ${set}: ${ids.join(', ')}`,
  hint: 'Name the one that is meant by its id.',
  retry: 'never',
});

export const setUnknown = failure<{ set: string; keptIn: string | null; place: string | null }>('server.set-unknown', {
  says: ({ set, keptIn }) => `no protected set is called ${set}${keptIn === null ? '' : `; it was protected before, and its restore points are in repository ${keptIn}`}`,
  hint: ({ place }) => (place === null ? 'Run "tidemark set list" for the sets there are.' : `Add it again with "tidemark set add", and its points are there; or list and restore them with "tidemark repository open ${place}".`),
  retry: 'never',
});

export const setExists = failure<{ set: string; setId: string }>('server.set-exists', {
  says: ({ set, setId }) => `the replica set ${setId} is protected already, as ${set}`,
  hint: 'Run "tidemark set show" for it. To sign in differently, remove it and add it again: its restore points stay.',
  retry: 'never',
});

export const setNameTaken = failure<{ name: string }>('server.set-name-taken', {
  says: ({ name }) => `another replica set is protected under the name ${name}`,
  hint: 'Give another name with --name.',
  retry: 'never',
});

export const setChanged = failure<{ set: string; expected: string; found: string }>('server.set-changed', {
  says: ({ set, expected, found }) => `the members of ${set} are now of replica set ${found}, not ${expected}`,
  hint: 'This is another set behind the same addresses. Add it as a set of its own.',
  retry: 'never',
});

export const setBusy = failure<{ set: string; session: string }>('server.set-busy', {
  says: ({ set, session }) => `session ${session} is at work on ${set}`,
  hint: 'Wait until it has ended, or stop it with "tidemark session stop".',
  retry: 'later',
});

export const repositoryUnknown = failure<{ repository: string }>('server.repository-unknown', {
  says: ({ repository }) => `no repository is called ${repository}`,
  hint: 'Run "tidemark repository list" for the repositories there are.',
  retry: 'never',
});

export const repositoryExists = failure<{ name: string; known: string }>('server.repository-exists', {
  says: ({ name, known }) => `${name} is known already, as repository ${known}`,
  hint: 'Use that one, or give another name and place.',
  retry: 'never',
});

export const repositoryBusy = failure<{ repository: string; session: string }>('server.repository-busy', {
  says: ({ repository, session }) => `session ${session} is at work on repository ${repository}`,
  hint: 'Wait until it has ended, or stop it with "tidemark session stop".',
  retry: 'later',
});

export const repositoryOther = failure<{ set: string; repository: string; wanted: string }>('server.repository-other', {
  says: ({ set, repository, wanted }) => `${set} is kept in repository ${repository}, not in ${wanted}`,
  hint: 'A set has one repository. Leave --repository out.',
  retry: 'never',
});

export const pointUnknown = failure<{ point: string }>('server.point-unknown', {
  says: ({ point }) => `there is no restore point ${point}`,
  hint: 'Run "tidemark point list" for the restore points there are.',
  retry: 'never',
});

export const pointBusy = failure<{ point: string; session: string; publication: string | null }>('server.point-busy', {
  says: ({ point, session, publication }) => `${publication === null ? `session ${session}` : `publication ${publication}`} uses restore point ${point}`,
  hint: ({ session, publication }) => (publication === null ? `Wait until it has ended, or stop it with "tidemark session stop ${session}".` : `End it with "tidemark publish stop ${publication}".`),
  retry: 'later',
});

export const pointHeld = failure<{ point: string; reason: string }>('server.point-held', {
  says: ({ point, reason }) => `restore point ${point} is held: ${reason}`,
  hint: 'Run "tidemark point release" when the reason is gone.',
  retry: 'never',
});

export const publicationUnknown = failure<{ publication: string }>('server.publication-unknown', {
  says: ({ publication }) => `there is no publication ${publication}`,
  hint: 'Run "tidemark publish list" for those there are.',
  retry: 'never',
});

export const sessionUnknown = failure<{ session: string }>('server.session-unknown', {
  says: ({ session }) => `there is no session ${session}`,
  hint: 'Run "tidemark session list" for the sessions there are.',
  retry: 'never',
});

export const sessionEnded = failure<{ session: string; state: string }>('server.session-ended', {
  says: ({ session, state }) => `session ${session} has ended: ${state}`,
  hint: 'There is nothing left to stop.',
  retry: 'never',
});

export const sessionNotFailed = failure<{ session: string; state: string }>('server.session-not-failed', {
  says: ({ session, state }) => `session ${session} is ${state}; only one that failed or was stopped is retried, and of a rescan or check with warnings what failed of it`,
  hint: 'Start a new one with the command that started this one.',
  retry: 'never',
});

export const sessionContinuous = failure<{ session: string }>('server.session-continuous', {
  says: ({ session }) => `session ${session} follows an oplog for as long as its set is protected, or its copy is there`,
  hint: 'Run "tidemark set remove" to stop protecting the set, "tidemark copy remove" to end the copy.',
  retry: 'never',
});

export const hostUnknown = failure<{ host: string }>('server.host-unknown', {
  says: ({ host }) => `no host is called ${host}`,
  hint: 'Run "tidemark node list" for the hosts there are.',
  retry: 'never',
});

export const hostExists = failure<{ name: string; known: string; address: string }>('server.host-exists', {
  says: ({ name, known, address }) => `host ${name} cannot be added: ${known} at ${address} is there already`,
  hint: 'Give another name or address, or make a new kit for that host with "tidemark node kit".',
  retry: 'never',
});

export const hostIsLocal = failure<Record<string, never>>('server.host-is-local', {
  says: () => 'the host local is the machine of the server itself',
  hint: 'Its transport service belongs to "tidemark up" and needs no kit; it cannot be removed.',
  retry: 'never',
});

export const takesNoHosts = failure<Record<string, never>>('server.takes-no-hosts', {
  says: () => 'this server takes no hosts: it was started without an address that hosts reach it at',
  hint: 'Start it with "tidemark up --hosts ADDRESS"; under its unit, give the option in a drop-in and restart the service.',
  retry: 'never',
});

export const hostBusy = failure<{ host: string; why: string }>('server.host-busy', {
  says: ({ host, why }) => `host ${host} is in use: ${why}`,
  hint: 'Remove or wait for what uses it first.',
  retry: 'later',
});

export const enrolmentRefused = failure<{ why: string }>('server.enrolment-refused', {
  says: ({ why }) => `the enrolment was refused: ${why}`,
  hint: 'Make a new kit with "tidemark node kit HOST" and use it within a day, once.',
  retry: 'never',
});

export const hostUnreachable = failure<{ host: string; service?: string; seconds: number; why: string }>('server.host-unreachable', {
  says: ({ host, service = 'transport', seconds, why }) => `the ${service} service of host ${host} was not reached within ${seconds} s: ${why}`,
  hint: 'See that the service runs there; the server dials it again all the time.',
  retry: 'later',
});

export const hostLost = failure<{ host: string; seconds: number; lastStep: string; why: string }>('server.host-lost', {
  says: ({ host, seconds, lastStep, why }) => `host ${host} was gone for ${seconds} s; the last that was heard is "${lastStep}" (${why})`,
  hint: 'Earlier restore points are not touched. When the host is back, what it still does for this session is stopped; then start it again.',
  retry: 'later',
});

export const leaseUnsure = failure<{ seconds: number }>('server.lease-unsure', {
  says: ({ seconds }) => `this server could not renew its lease on the catalog for ${seconds} s, and gives no orders to hosts until it has`,
  hint: 'See whether the database of the catalog answers. When another server has taken over meanwhile, the session goes on there.',
  retry: 'later',
});

export const taskLost = failure<{ host: string; lastStep: string }>('server.task-lost', {
  says: ({ host, lastStep }) => `host ${host} does not know the task any more; the last that was heard is "${lastStep}"`,
  hint: 'Its transport service was restarted meanwhile. Earlier restore points are not touched. Start the session again.',
  retry: 'now',
});

export const taskSilent = failure<{ host: string; minutes: number; lastStep: string }>('server.task-silent', {
  says: ({ host, minutes, lastStep }) => `the task on host ${host} said nothing for ${minutes} minutes and was stopped; the last that was heard is "${lastStep}"`,
  hint: 'The log of the transport service on that host has what it did. Earlier restore points are not touched.',
  retry: 'later',
});

export const oplogNotPaused = failure<{ set: string }>('server.oplog-not-paused', {
  says: ({ set }) => `the oplog of ${set} is not paused`,
  hint: 'See "tidemark set show SET".',
  retry: 'never',
});

export const oplogBehind = failure<{ set: string; seconds: number; need: string; have: string; why: string }>('server.oplog-behind', {
  says: ({ set, seconds, need, have, why }) => `the archived oplog of ${set} did not reach ${need} within ${seconds} s, it is at ${have}${why === '' ? '' : ` (${why})`}`,
  hint: 'The restore point is stored and not proved. See the oplog session of the set; then run "tidemark point verify".',
  retry: 'later',
});

export const notSignedIn = failure('server.not-signed-in', {
  says: () => 'the request carries no valid token',
  hint: 'Name the file with the token with --token-file or TIDEMARK_TOKEN_FILE.',
  retry: 'never',
});

export const notAllowed = failure<{ permission: string; role: string }>('server.not-allowed', {
  says: ({ permission, role }) => `the role ${role} does not allow ${permission}`,
  hint: 'Ask an administrator for a token with a role that does.',
  retry: 'never',
});

export const tooManyAttempts = failure<{ seconds: number }>('server.too-many-attempts', {
  says: ({ seconds }) => `too many requests without a valid token from this address; it is listened to again in ${seconds} s`,
  hint: 'Wait, then use a valid token.',
  retry: 'later',
});

export const questionNotUnderstood = failure<{ where: string; why: string }>('server.question-not-understood', {
  says: ({ where, why }) => `the ${where} of the request is not understood: ${why}`,
  hint: 'See docs/reference/rest-api.md for what this route takes.',
  retry: 'never',
});

export const answerBroken = failure<{ route: string }>('server.answer-broken', {
  says: ({ route }) => `the answer to ${route} does not keep the contract and was held back`,
  hint: 'This is a mistake in the server. Its log has the details.',
  retry: 'never',
});

export const noSuchRoute = failure<{ route: string }>('server.no-such-route', {
  says: ({ route }) => `there is no route ${route}`,
  hint: 'See docs/reference/rest-api.md for the routes there are.',
  retry: 'never',
});

export const secretUnreadable = failure<{ what: string }>('server.secret-unreadable', {
  says: ({ what }) => `${what} cannot be decrypted with this master key`,
  hint: 'The file master.key in the data directory does not belong to this catalog. Put the right one back.',
  retry: 'never',
});

export const credentialUnknown = failure<{ credential: string }>('server.credential-unknown', {
  says: ({ credential }) => `no credential is called ${credential}`,
  hint: 'Run "tidemark credential list" for the credentials there are.',
  retry: 'never',
});

export const credentialExists = failure<{ name: string }>('server.credential-exists', {
  says: ({ name }) => `another credential is called ${name}`,
  hint: 'Give another name, or remove that one with "tidemark credential remove".',
  retry: 'never',
});

export const credentialOther = failure<{ credential: string; kind: string; wanted: string }>('server.credential-other-kind', {
  says: ({ credential, kind, wanted }) => `${credential} is a credential for a ${kind}, and one for a ${wanted} is needed`,
  hint: 'Run "tidemark credential list" for the credentials there are.',
  retry: 'never',
});

export const credentialGone = failure('server.credential-gone', {
  says: () => 'the single-use credential is no longer there',
  hint: 'It is never written down, and is over when it was used, after ten minutes, or when the server was restarted. Give it again.',
  retry: 'never',
});

export const hostKeyUnknown = failure<{ host: string; port: number }>('server.host-key-unknown', {
  says: ({ host, port }) => `no SSH key of ${host} on port ${port} was ever seen`,
  hint: 'A host is seen when it is rescanned or installed; then its key can be admitted.',
  retry: 'never',
});

export const hostKeyOther = failure<{ host: string; port: number; shown: string; given: string }>('server.host-key-other', {
  says: ({ host, port, shown, given }) => `${host} on port ${port} shows the key ${shown}, not ${given}`,
  hint: 'Compare it with "ssh-keygen -lf" of the public key on the host itself. Admit the one that is there, or find out who stands between.',
  retry: 'never',
});

export const platformUnfit = failure<{ host: string; why: string }>('server.platform-unfit', {
  says: ({ host, why }) => `our services do not run on ${host}: ${why}`,
  hint: 'Linux with systemd and glibc 2.28 or newer on x86_64 or aarch64 is needed, or Windows on x86_64. Nothing was installed.',
  retry: 'never',
});

export const deploymentFailed = failure<{ host: string; step: string; why: string; left: readonly string[]; remove: string }>('server.deployment-failed', {
  says: ({ host, step, why }) => `the deployment to ${host} failed at "${step}": ${why}`,
  hint: ({ left, remove }) => (left.length === 0 ? 'Nothing is left on the host. Try again when the cause is gone.' : `Try again when the cause is gone; every step may be done twice. To take away what is left, run as root on the host: ${remove}`),
  retry: 'later',
});

export const windowsInstallerMissing = failure<{ directory: string }>('server.windows-installer-missing', {
  says: ({ directory }) => `this installation has no installer for hosts on Windows at ${directory}`,
  hint: 'The package tidemark-server brings it; in a checkout "npm run package" makes it. A deployment kit needs none: "tidemark node kit --part deployer".',
  retry: 'never',
});

export const installerNotStarted = failure<{ host: string; why: string }>('server.installer-not-started', {
  says: ({ host, why }) => `the installer service on ${host} ended before it showed itself: ${why}`,
  hint: 'The event log of that host may tell more. What was put there is taken away again.',
  retry: 'later',
});

export const installerNotReached = failure<{ address: string; why: string }>('server.installer-not-reached', {
  says: ({ address, why }) => `the installer service at ${address} was not reached: ${why}`,
  hint: 'Open port 11731 from this server to that host ("tidemark ports export"), or use a deployment kit: "tidemark node kit --part deployer".',
  retry: 'later',
});

export const membersUnfit = failure<{ why: string }>('server.members-unfit', {
  says: ({ why }) => `these members cannot be one set: ${why}`,
  hint: 'Give each member an address of its own that the others reach it by: --member HOST:PORT@NODE:DIRECTORY.',
  retry: 'never',
});

export const restoreTakenBack = failure<{ host: string; why: string; left: readonly string[] }>('server.restore-taken-back', {
  says: ({ host, why, left }) => `the restore failed on ${host}: ${why}; ${left.length === 0 ? 'what was built on every host was taken back' : `NOT taken back: ${left.join('; ')}`}`,
  hint: 'No data directory was changed where all was taken back; elsewhere the old one is there or kept aside. Mend the cause and restore again.',
  retry: 'later',
});

export const restoreNotStarted = failure<{ set: string; host: string; why: string }>('server.restore-not-started', {
  says: ({ set, host, why }) => `replica set ${set} is laid down on every host but was not started: ${host}: ${why}`,
  hint: 'The data directories are complete and in place, and the members were stopped. Mend the cause and start them with the printed commands.',
  retry: 'never',
});

export const dataSessionEnded = failure<{ host: string }>('server.data-session-ended', {
  says: ({ host }) => `the data session on host ${host} ended before the work did`,
  hint: 'Start the session again; see the log of the transport service there if it ends again.',
  retry: 'now',
});

export const packageUnreadable = failure<{ file: string; why: string }>('server.package-unreadable', {
  says: ({ file, why }) => `the package ${file} cannot be used: ${why}`,
  hint: 'Name a .deb or .rpm of tidemark-deployer on the machine of the server, or none: the distribution server has one.',
  retry: 'never',
});

export const timeZoneUnknown = failure<{ timeZone: string }>('server.time-zone-unknown', {
  says: ({ timeZone }) => `no time zone is called ${timeZone}`,
  hint: 'Give a name such as Europe/Berlin, or UTC.',
  retry: 'never',
});

export const servicesNotConnected = failure<{ node: string; why: string }>('server.services-not-connected', {
  says: ({ node, why }) => `${node} has enrolled and its transport service is not connected: ${why}`,
  hint: 'It was looked at over SSH. See "journalctl -u tidemark-transport" there and "tidemark ports check"; "tidemark node install" installs the service again.',
  retry: 'later',
});

export const noDepot = failure('server.no-depot', {
  says: () => 'this server has no distribution server',
  hint: 'Start it with "tidemark up --hosts ADDRESS", without --no-depot, or name one on another host with --depot.',
  retry: 'never',
});

export const depotNotReached = failure<{ address: string; why: string }>('server.depot-not-reached', {
  says: ({ address, why }) => `the distribution server at ${address} gave no answer: ${why}`,
  hint: 'See that it runs there ("tidemark up" starts it, or the unit tidemark-depot) and that its ports can be reached.',
  retry: 'later',
});

export const deployerMissing = failure<{ host: string }>('server.deployer-missing', {
  says: ({ host }) => `host ${host} has no deployer service that takes orders`,
  hint: 'Install it over SSH with "tidemark node install --credential", or run the installer that "tidemark node kit --installer" writes on the host.',
  retry: 'never',
});

export const serviceNotBack = failure<{ host: string; service: string; wanted: string; why: string }>('server.service-not-back', {
  says: ({ host, service, wanted, why }) => `the ${service} of host ${host} did not come back with ${wanted}: ${why}`,
  hint: 'What was there before was put back where that was possible; "tidemark node list" shows what answers now.',
  retry: 'later',
});
