import { failure } from '../base/failure.ts';

export const unreachable = failure<{ address: string; why: string }>('mongo.unreachable', {
  says: ({ address, why }) => `cannot reach ${address}: ${why}`,
  hint: 'See that mongod runs there and that this host may connect to that port.',
  retry: 'later',
});

export const signInRefused = failure<{ address: string; user: string; why: string }>('mongo.sign-in-refused', {
  says: ({ address, user, why }) => `${address} refused to sign in ${user}: ${why}`,
  hint: 'Check user name, password and the database that the user was created in (authSource).',
  retry: 'never',
});

export const signInNeeded = failure<{ address: string; create: string }>('mongo.sign-in-needed', {
  says: ({ address }) => `${address} needs a sign-in: --user and --password-file`,
  hint: ({ create }) => `A user that can do it is made by an administrator of the set with ${create}`,
  retry: 'never',
});

export const notAuthorized = failure<{ address: string; user: string; missing: readonly string[]; grant: string }>(
  'mongo.not-authorized',
  {
    says: ({ address, user, missing }) => `${user} lacks rights on ${address}: ${missing.join('; ')}`,
    hint: ({ grant }) => `Run as an administrator of the set: ${grant}`,
    retry: 'never',
  },
);

export const tlsFailed = failure<{ address: string; why: string }>('mongo.tls-failed', {
  says: ({ address, why }) => `no TLS connection to ${address}: ${why}`,
  hint: 'Give the CA that signed the certificate of this member, and a client certificate where the set asks for one.',
  retry: 'never',
});

export const commandFailed = failure<{ address: string; command: string; why: string }>('mongo.command-failed', {
  says: ({ address, command, why }) => `${command} failed on ${address}: ${why}`,
  hint: 'The text after the colon is the answer of mongod; its log says more.',
  retry: 'later',
});

export const standalone = failure<{ address: string }>('mongo.standalone', {
  says: ({ address }) => `the mongod at ${address} is not a member of a replica set`,
  hint: 'Only replica sets have an oplog. Start it with --replSet and run rs.initiate().',
  retry: 'never',
});

export const notInitiated = failure<{ address: string }>('mongo.not-initiated', {
  says: ({ address }) => `the mongod at ${address} was started for a replica set that has no configuration yet`,
  hint: 'Run rs.initiate() or add it to its set.',
  retry: 'later',
});

export const wrongSet = failure<{ address: string; expected: string; actual: string }>('mongo.wrong-set', {
  says: ({ address, expected, actual }) => `${address} is a member of the replica set ${actual}, not of ${expected}`,
  hint: 'Give the name that rs.status() shows as "set".',
  retry: 'never',
});

export const isArbiter = failure<{ address: string }>('mongo.arbiter', {
  says: ({ address }) => `${address} is an arbiter and holds no data`,
  hint: 'Choose a member that holds data.',
  retry: 'never',
});

export const memberUnfit = failure<{ address: string; state: string }>('mongo.member-unfit', {
  says: ({ address, state }) => `${address} is in state ${state}, neither primary nor secondary`,
  hint: 'Wait until the member is a secondary again or choose another one.',
  retry: 'later',
});

export const versionUnsupported = failure<{ address: string; version: string }>('mongo.version-unsupported', {
  says: ({ address, version }) => `${address} runs MongoDB ${version}; 6.0, 7.0 and 8.0 are supported`,
  hint: 'Protect this set with a version of Tidemark that supports it, or upgrade mongod.',
  retry: 'never',
});

export const engineUnsupported = failure<{ address: string; engine: string }>('mongo.engine-unsupported', {
  says: ({ address, engine }) => `${address} keeps its data in the storage engine ${engine}; a copy needs wiredTiger`,
  hint: 'Choose a member that runs WiredTiger.',
  retry: 'never',
});

export const notOnThisHost = failure<{ address: string; why: string }>('mongo.not-on-this-host', {
  says: ({ address, why }) => `the mongod of ${address} is not on this host: ${why}`,
  hint: 'Files are read on the host of the member. Order the copy from the transport service there.',
  retry: 'never',
});

export const fileSystemFull = failure<{ path: string; needsBytes: number; hasBytes: number; what: string }>('mongo.file-system-full', {
  says: ({ path, needsBytes, hasBytes, what }) =>
    `${what} needs ${mib(needsBytes)} at ${path}, where ${mib(hasBytes)} are free`,
  hint: 'Free space there or choose another directory or way of copying.',
  retry: 'later',
});

export const oplogTooShort = failure<{ address: string; needsSeconds: number; hasSeconds: number }>('mongo.oplog-too-short', {
  says: ({ address, needsSeconds, hasSeconds }) =>
    `a lock of ${Math.ceil(needsSeconds)} s is too long for ${address}: the oplog of the set goes back ${Math.floor(hasSeconds)} s`,
  hint: 'Enlarge the oplog with the command replSetResizeOplog, or use a file system with reflinks (XFS, Btrfs).',
  retry: 'later',
});

export const binaryMissing = failure<{ version: string; tried: readonly string[]; refused: readonly string[] }>('mongo.binary-missing', {
  says: ({ version, tried, refused }) => `no mongod ${version} on this host (tried: ${tried.join(', ')})${refused.map((why) => `; ${why}`).join('')}`,
  hint: 'Install mongod of the same major version on this host, owned by root where Tidemark runs as root; it need not run.',
  retry: 'never',
});

export const mongodDied = failure<{ dbPath: string; status: string; says: string }>('mongo.mongod-died', {
  says: ({ dbPath, status, says }) => `the temporary mongod on ${dbPath} ended with ${status}: ${says}`,
  hint: 'The text after the colon are the last errors in its log.',
  retry: 'later',
});

export const mongodSilent = failure<{ dbPath: string; ms: number; says: string }>('mongo.mongod-silent', {
  says: ({ dbPath, ms, says }) => `the temporary mongod on ${dbPath} did not answer within ${ms / 1000} s: ${says}`,
  hint: 'The text after the colon are the last lines of its log.',
  retry: 'later',
});

export const socketPathTooLong = failure<{ path: string }>('mongo.socket-path-too-long', {
  says: ({ path }) => `${path} is too long for a socket (at most 100 bytes)`,
  hint: 'Use a work directory with a shorter path.',
  retry: 'never',
});

export const oplogDamaged = failure<{ why: string }>('mongo.oplog-damaged', {
  says: ({ why }) => `bytes that should be oplog entries are not: ${why}`,
  hint: 'Run "tidemark repository check" on the archive they came from.',
  retry: 'never',
});

export const sourceLost = failure<{ address: string; why: string }>('mongo.source-lost', {
  says: ({ address, why }) => `${address} can no longer be read: ${why}`,
  hint: 'Another member is taken when there is one.',
  retry: 'now',
});

export const noSource = failure<{ set: string; why: string }>('mongo.no-source', {
  says: ({ set, why }) => `no member of ${set} can be read: ${why}`,
  hint: 'Bring a secondary back or allow the primary as a source.',
  retry: 'later',
});

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 1048576)} MiB`;
}
