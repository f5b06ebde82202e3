import { failure } from '../base/failure.ts';

const checkHint = 'Run "tidemark repository check" to list every restore point that is hurt.';

/** Where the bytes of a chunk are lost: who is hurt, and what makes later points whole. */
const chunkHint =
  'Run "tidemark repository check --read-data 100": it lists every restore point that is hurt, and the next backup stores again what was found damaged.';

export const objectMissing = failure<{ object: string; place: string }>('repository.object-missing', {
  says: ({ object, place }) => `${object} is not in ${place}`,
  hint: checkHint,
  retry: 'never',
});

export const objectShort = failure<{ object: string; place: string; wanted: number; got: number }>('repository.object-short', {
  says: ({ object, place, wanted, got }) => `${object} in ${place} ends ${wanted - got} bytes too early`,
  hint: checkHint,
  retry: 'never',
});

export const storageFull = failure<{ place: string; object: string }>('repository.storage-full', {
  says: ({ place, object }) => `no space left in ${place} while writing ${object}`,
  hint: 'Free space there, or delete restore points and run "tidemark repository sweep". Everything stored before is intact.',
  retry: 'later',
});

export const storageFailed = failure<{ place: string; object: string; why: string }>('repository.storage-failed', {
  says: ({ place, object, why }) => `${place} failed at ${object}: ${why}`,
  hint: 'See whether the disk or the mount below the repository is well.',
  retry: 'later',
});

export const placeMissing = failure<{ place: string }>('repository.place-missing', {
  says: ({ place }) => `${place} is not a directory`,
  hint: 'Mount or create the directory, or correct the path.',
  retry: 'later',
});

export const pathRefused = failure<{ path: string; why: string }>('repository.path-refused', {
  says: ({ why }) => `a repository cannot be there: ${why}`,
  hint: 'Give a folder as its host writes it: /srv/tidemark on Linux; on Windows one of a drive (C:\\Backup\\tidemark) or of a share (\\\\server\\share\\tidemark). Hosts on Linux open a share as smb://server/share/folder.',
  retry: 'never',
});

export const bucketNotReached = failure<{ place: string; why: string }>('repository.bucket-not-reached', {
  says: ({ place, why }) => `${place} is not reached: ${why}`,
  hint: 'See whether the store runs, whether its name and port are right, and whether a firewall lets this host through.',
  retry: 'later',
});

export const bucketTlsRefused = failure<{ place: string; why: string }>('repository.bucket-tls-refused', {
  says: ({ place, why }) => `the certificate that ${place} shows is not accepted: ${why}`,
  hint: 'Give the authority that signed it with --ca, or the name that stands in it.',
  retry: 'never',
});

export const bucketMissing = failure<{ place: string }>('repository.bucket-missing', {
  says: ({ place }) => `there is no bucket ${place}`,
  hint: 'Buckets are never made here. Make it, or correct its name, the endpoint or --virtual-host.',
  retry: 'never',
});

export const bucketKeyWrong = failure<{ place: string; what: string }>('repository.bucket-key-wrong', {
  says: ({ place, what }) => `${place} refuses the key: ${what}`,
  hint: 'Correct --access-key or the file of --secret-key-file. A region that the store does not sign for is refused like this, too.',
  retry: 'never',
});

export const bucketDenied = failure<{ place: string; object: string }>('repository.bucket-denied', {
  says: ({ place, object }) => `the key may not do this in ${place}: ${object}`,
  hint: 'The key needs to list the bucket and its uploads, and to get, put and delete objects below the prefix.',
  retry: 'never',
});

export const bucketClockApart = failure<{ place: string; seconds: number }>('repository.bucket-clock-apart', {
  says: ({ place, seconds }) => `the clock of ${place} is ${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the one here`,
  hint: 'Set the clocks right; a store takes no request that is signed more than fifteen minutes off.',
  retry: 'later',
});

export const bucketRefused = failure<{ place: string; object: string; why: string }>('repository.bucket-refused', {
  says: ({ place, object, why }) => `${place} refused a request for ${object}: ${why}`,
  hint: 'The text after the colon is the store\'s. Its log may say more.',
  retry: 'later',
});

export const bucketUnfit = failure<{ place: string; what: string }>('repository.bucket-unfit', {
  says: ({ place, what }) => `${place} cannot hold a repository: ${what}`,
  hint: 'What a store must be able to do is in docs/design/storage-kinds.md.',
  retry: 'never',
});

export const placeReadOnly = failure<{ place: string }>('repository.read-only', {
  says: ({ place }) => `the repository in ${place} is attached read-only: nothing is written into it`,
  hint: 'Take it over with "tidemark repository adopt" when nobody else uses it.',
  retry: 'never',
});

export const shareUnreachable = failure<{ place: string; why: string }>('repository.share-unreachable', {
  says: ({ place, why }) => `${place} cannot be reached: ${why}`,
  hint: 'See whether the file server runs, speaks SMB 3 on that port and is let through by the firewalls between. What was stored before is intact.',
  retry: 'later',
});

export const shareRefused = failure<{ place: string; user: string; why: string }>('repository.share-refused', {
  says: ({ place, user, why }) => `${place} does not let ${user} in: ${why}`,
  hint: 'Check the name, its domain and its password, that the account may use the share, and that the server signs (and encrypts, where that is required).',
  retry: 'never',
});

export const shareMissing = failure<{ place: string; share: string }>('repository.share-missing', {
  says: ({ place, share }) => `the server of ${place} has no share ${share}`,
  hint: 'Correct the name of the share, or make it: Tidemark makes folders on a share and never a share.',
  retry: 'never',
});

export const shareUnfit = failure<{ place: string; what: string }>('repository.share-unfit', {
  says: ({ place, what }) => `${place} cannot hold a repository: ${what}`,
  hint: 'Use another file server, or another kind of repository. Nothing was written but a test file.',
  retry: 'never',
});

export const shareDenied = failure<{ place: string; object: string }>('repository.share-denied', {
  says: ({ place, object }) => `the account may not do this in ${place}: ${object}`,
  hint: 'It needs to read, write, rename and delete everything below the folder of the repository.',
  retry: 'later',
});

export const shareBusy = failure<{ place: string; object: string; seconds: number }>('repository.share-busy', {
  says: ({ place, object, seconds }) => `${object} in ${place} is held open by somebody for ${seconds} s`,
  hint: 'Another client of the share reads it, or the server has not noticed yet that a client is gone. It is tried again at the next session.',
  retry: 'later',
});

export const listBehind = failure<{ place: string; object: string; seconds: number }>('repository.list-behind', {
  says: ({ place, object, seconds }) => `the lists of ${place} are older than what is in it: ${object} was looked for in them for ${seconds} s`,
  hint: 'Nothing was deleted. "tidemark repository test" looks at the lists of a place; one whose lists stay behind cannot hold a repository.',
  retry: 'later',
});

export const readBackDiffers = failure<{ place: string; object: string; what: string }>('repository.read-back-differs', {
  says: ({ place, object, what }) => `${place} does not give back what was written to ${object}: ${what}`,
  hint: 'The file server or its disk is not sound. Nothing was published; look at its logs before the next backup.',
  retry: 'later',
});

export const objectRetained = failure<{ object: string; place: string; until: string | null }>('repository.object-retained', {
  says: ({ object, place, until }) => `${object} in ${place} can be neither changed nor deleted ${until === null ? 'yet' : `before ${until}`}`,
  hint: 'The repository is immutable: nobody can delete it earlier, not even the backup server. Try again then.',
  retry: 'later',
});

export const lockNotKept = failure<{ place: string; what: string }>('repository.lock-not-kept', {
  says: ({ place, what }) => `${place} cannot hold an immutable repository: ${what}`,
  hint: 'See docs/guide/immutable.md for what each kind of place needs.',
  retry: 'never',
});

export const wardenNotReached = failure<{ place: string; why: string }>('repository.warden-not-reached', {
  says: ({ place, why }) => `the warden that locks files in ${place} does not answer: ${why}`,
  hint: 'Run "systemctl start tidemark-warden.socket" on the host of the repository. Nothing is acknowledged before it is locked; what was locked stays locked.',
  retry: 'later',
});

export const immutableNotLowered = failure<{ place: string; days: number; wanted: number }>('repository.immutable-not-lowered', {
  says: ({ place, days, wanted }) => `${place} keeps everything for ${days} days, and ${wanted} would be less`,
  hint: 'The days can be raised and never lowered. Make another repository for a shorter time.',
  retry: 'never',
});

export const repositoryExists = failure<{ place: string }>('repository.exists', {
  says: ({ place }) => `${place} already holds a repository`,
  hint: 'Open it with its passphrase, or choose another place.',
  retry: 'never',
});

export const repositoryMissing = failure<{ place: string }>('repository.missing', {
  says: ({ place }) => `${place} holds no repository`,
  hint: 'A repository has a file tidemark.json at its top. Correct the path, or create the repository.',
  retry: 'never',
});

export const formatUnknown = failure<{ place: string; format: number }>('repository.format-unknown', {
  says: ({ place, format }) => `the repository in ${place} has format ${format}; this program knows format 1`,
  hint: 'Use a newer Tidemark.',
  retry: 'never',
});

export const passphraseWrong = failure<{ place: string }>('repository.passphrase-wrong', {
  says: ({ place }) => `the passphrase does not open the repository in ${place}`,
  hint: 'Give the passphrase the repository was created with. If it is right, tidemark.json is damaged; tidemark-copy.json beside it is its twin.',
  retry: 'never',
});

export const keyWrong = failure<{ setId: string; place: string }>('repository.key-wrong', {
  says: ({ setId, place }) => `the key does not open the archive of set ${setId} in ${place}`,
  hint: 'The key belongs to another archive, or the archive\'s file "about" is damaged.',
  retry: 'never',
});

export const archiveMissing = failure<{ setId: string; place: string }>('repository.archive-missing', {
  says: ({ setId, place }) => `there is no archive of set ${setId} in ${place}`,
  hint: 'List the archives with "tidemark repository open DIR".',
  retry: 'never',
});

export const objectDamaged = failure<{ object: string; what: string }>('repository.object-damaged', {
  says: ({ object, what }) => `${object} is damaged: ${what}`,
  hint: checkHint,
  retry: 'never',
});

export const packDamaged = failure<{ pack: string; what: string }>('repository.pack-damaged', {
  says: ({ pack, what }) => `pack ${pack} is damaged: ${what}`,
  hint: chunkHint,
  retry: 'never',
});

export const packMissing = failure<{ pack: string; chunk: string }>('repository.pack-missing', {
  says: ({ pack, chunk }) => `pack ${pack}, which holds chunk ${chunk}, is missing`,
  hint: chunkHint,
  retry: 'never',
});

export const chunkMissing = failure<{ chunk: string }>('repository.chunk-missing', {
  says: ({ chunk }) => `chunk ${chunk} is in no pack that the index knows`,
  hint: chunkHint,
  retry: 'never',
});

export const frameDamaged = failure<{ pack: string; chunk: string; frame: number }>('repository.frame-damaged', {
  says: ({ pack, chunk, frame }) => `frame ${frame} of chunk ${chunk} in pack ${pack} is not what was stored`,
  hint: chunkHint,
  retry: 'never',
});

export const indexDamaged = failure<{ segment: string; what: string }>('repository.index-damaged', {
  says: ({ segment, what }) => `index segment ${segment} is damaged: ${what}`,
  hint: 'The index can be made again from the packs: delete the segment, and the next backup or sweep does it.',
  retry: 'never',
});

export const pointMissing = failure<{ point: string; setId: string }>('repository.point-missing', {
  says: ({ point, setId }) => `set ${setId} has no restore point ${point}`,
  hint: 'List the points with "tidemark point list".',
  retry: 'never',
});

export const pointExists = failure<{ point: string }>('repository.point-exists', {
  says: ({ point }) => `there is a restore point ${point} already`,
  hint: 'A restore point is never replaced. Take a new one.',
  retry: 'never',
});

export const leaseLost = failure<{ what: string }>('repository.lease-lost', {
  says: ({ what }) => `${what} was silent for so long that it was taken for dead`,
  hint: 'Its machine was stopped or overloaded. Start it again; what it stored is taken up.',
  retry: 'now',
});

export const sweepRunning = failure<{ setId: string }>('repository.sweep-running', {
  says: ({ setId }) => `another sweep of set ${setId} is running`,
  hint: 'Wait for it. The lease of a killed one ends within sixteen minutes.',
  retry: 'later',
});

export const writerClosed = failure<{ setId: string }>('repository.writer-closed', {
  says: ({ setId }) => `the writer of set ${setId} is closed`,
  hint: 'Open another one.',
  retry: 'now',
});

export const sourceUnreadable = failure<{ path: string; why: string }>('repository.source-unreadable', {
  says: ({ path, why }) => `cannot read ${path}: ${why}`,
  hint: 'The backup needs to read every file of the data directory.',
  retry: 'later',
});

export const targetUnwritable = failure<{ path: string; why: string }>('repository.target-unwritable', {
  says: ({ path, why }) => `cannot write ${path}: ${why}`,
  hint: 'See to space and rights in the target directory.',
  retry: 'later',
});

export const workerFailed = failure<{ why: string }>('repository.worker-failed', {
  says: ({ why }) => `a worker thread of the repository ended: ${why}`,
  hint: 'The log has the details. Start the task again; what it stored is taken up.',
  retry: 'now',
});

export const chainMissing = failure<{ chain: string }>('repository.chain-missing', {
  says: ({ chain }) => `there is no oplog chain ${chain}`,
  hint: 'See "tidemark window SET" for the chains there are.',
  retry: 'never',
});

export const chainBusy = failure<{ chain: string; node: string; seconds: number }>('repository.chain-busy', {
  says: ({ chain, node, seconds }) => `${node} writes to oplog chain ${chain} (last sign ${seconds} s ago)`,
  hint: 'Stop the other writer, or wait: a dead one is given up after half a minute.',
  retry: 'later',
});

export const chainTaken = failure<{ chain: string; after: string }>('repository.chain-taken', {
  says: ({ chain, after }) => `another writer continued oplog chain ${chain} after ${after}`,
  hint: 'Open the chain again; writing goes on behind what the other one archived.',
  retry: 'now',
});

export const oplogNotFollowing = failure<{ chain: string; through: string; first: string }>('repository.oplog-not-following', {
  says: ({ chain, through, first }) => `a batch that starts at ${first} does not follow ${through} in oplog chain ${chain}`,
  hint: 'Where continuity is not proved, a new chain must be started.',
  retry: 'never',
});

export const oplogGap = failure<{ chain: string; after: string; through: string }>('repository.oplog-gap', {
  says: ({ chain, after, through }) => `oplog chain ${chain} does not hold all of (${after}, ${through}]`,
  hint: 'See "tidemark window SET" for the moments that can be reached.',
  retry: 'never',
});

export const oplogDamaged = failure<{ chain: string; slice: string; what: string }>('repository.oplog-damaged', {
  says: ({ chain, slice, what }) => `slice ${slice} of oplog chain ${chain} is damaged: ${what}`,
  hint: 'Moments behind it are reached from the next restore point. Run "tidemark repository check --read-data".',
  retry: 'never',
});
