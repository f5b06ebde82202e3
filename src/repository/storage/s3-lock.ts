/**
 * Object lock (docs/design/immutable.md, "A bucket"): a bucket whose objects are kept, whoever has the key.
 *
 *   put, commit    with a retention, which is read back before it is acknowledged; a slice is retained when it is known to stand alone
 *   parts          a store may forget the retention with which an upload in parts began (radosgw 16.2 does): it is given again when
 *                  the object is whole, before that is acknowledged
 *   put new        the oldest version is whose it was: a store that keeps versions may take a second one whatever the condition says
 *                  (radosgw 16.2 does), and the order in which it has them is its own
 *   read, list     what is kept: its oldest version, past delete markers and whatever was put over it. The rest: the newest one
 *   delete         by version, all of them, the newest first; what is retained is refused, with the day
 *   replace        of what is not kept; the versions before are deleted, else every renewal of a lease would stay
 *
 * A DELETE without a version succeeds on a locked object, as a marker, and so does a PUT, as a newer version: neither is ever sent for
 * what is kept, and neither is seen when somebody else sent it.
 */
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand, PutObjectCommand, PutObjectRetentionCommand, type ObjectVersion, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { atOnce } from '../../base/at-once.ts';
import type { Clock } from '../../base/clock.ts';
import { isFailure } from '../../base/failure.ts';
import { randomId } from '../../base/ids.ts';
import { bucketDenied, bucketRefused, bucketUnfit, lockNotKept, objectMissing, objectRetained } from '../failures.ts';
import { dayMs } from '../immutable.ts';
import { isKept, isKeptFromPut } from '../object-names.ts';
import { openRecent } from '../recent.ts';
import { keptLonger } from './directory-lock.ts';
import { statusOf, wordKey } from './s3-answers.ts';
import type { Requests } from './s3-requests.ts';
import type { Immutable, LockMode, PlaceFinding, Retention, Storage, StoredObject } from './storage.ts';

type Bucket = { readonly requests: Requests; readonly Bucket: string; readonly prefix: string; readonly clock: Clock };
export type ReadVersion = (name: string, range: { from: number; bytes: number } | undefined, VersionId: string) => Promise<Uint8Array>;
/** `version`: of what was put; undefined where an earlier request may have been carried out, too, and then the word in it tells. */
export type PutObject = (name: string, bytes: Uint8Array, how: 'new' | 'replace') => Promise<{ readonly outcome: 'stored' | 'exists'; readonly word: string; readonly version: string | undefined }>;
export type LockHeaders = Pick<PutObjectCommandInput, 'ObjectLockMode' | 'ObjectLockRetainUntilDate'>;

/** A store's clock may be so far behind ours. */
const skewMs = 15 * 60_000;
const shortestMs = 60_000;
const asksAtOnce = 16;
const remembered = 1 << 16;
const modeOf = (mode: LockMode | null) => (mode === 'governance' ? ('GOVERNANCE' as const) : ('COMPLIANCE' as const));

/** What a put of this name carries. */
export function lockHeaders(name: string, immutable: Immutable | undefined, clock: Clock): LockHeaders {
  if (immutable === undefined || !isKeptFromPut(name)) return {};
  return { ObjectLockMode: modeOf(immutable.mode), ObjectLockRetainUntilDate: new Date(untilOf(immutable, clock)) };
}

function untilOf({ days }: Immutable, clock: Clock): number {
  return Math.ceil((clock.now() + days * dayMs * keptLonger + skewMs) / 1000) * 1000;
}

/** Stores take a retention only with the sum of what it is for. */
export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

type Version = Pick<ObjectVersion, 'Key' | 'VersionId' | 'Size' | 'LastModified' | 'IsLatest'> & { readonly isMarker?: boolean };

/** Every version below a prefix, those of one name together and the newest first; markers come before the versions of their page. */
async function* versionsBelow({ requests, Bucket, prefix }: Bucket, wanted: string): AsyncIterable<Version> {
  let from: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    const asked = new ListObjectVersionsCommand({ Bucket, Prefix: prefix + wanted, ...from });
    const page = await requests.ask(`the versions of ${wanted === '' ? 'objects' : wanted}`, async (client, { signal }) => await client.send(asked, { abortSignal: signal }));
    for (const marker of page.DeleteMarkers ?? []) yield { ...marker, isMarker: true };
    yield* page.Versions ?? [];
    if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return;
    from = { KeyMarker: page.NextKeyMarker, ...(page.NextVersionIdMarker !== undefined && { VersionIdMarker: page.NextVersionIdMarker }) };
  }
}

/** Reads a bucket by its oldest versions; undefined where the store has no list of them. */
export async function openOldest(bucket: Bucket, readVersion: ReadVersion): Promise<Pick<Storage, 'read' | 'list'> | undefined> {
  const oldest = new Map<string, string>();
  try {
    for await (const { Key, VersionId, isMarker } of versionsBelow(bucket, 'tidemark')) if (isMarker !== true) oldest.set(Key!.slice(bucket.prefix.length), VersionId ?? 'null');
  } catch (error) {
    if (isFailure(error, bucketRefused) || isFailure(error, bucketDenied) || isFailure(error, bucketUnfit)) return undefined;
    throw error;
  }
  return {
    async read(name) {
      const version = oldest.get(name);
      if (version === undefined) throw objectMissing({ object: name, place: bucket.requests.place });
      return await readVersion(name, undefined, version);
    },
    list: (prefix) => keptBelow(bucket, prefix),
  };
}

/** As the bucket is read: what is kept by its oldest version, the rest by its newest. */
async function* keptBelow(bucket: Bucket, wanted: string, found: (name: string, version: string) => void = () => {}): AsyncIterable<StoredObject> {
  let last: { name: string; version: Version } | undefined;
  const tell = ({ name, version }: { name: string; version: Version }): StoredObject => {
    if (isKept(name)) found(name, version.VersionId ?? 'null');
    return { name, bytes: version.Size ?? 0, modifiedMs: version.LastModified?.getTime() ?? 0 };
  };
  for await (const version of versionsBelow(bucket, wanted)) {
    if (version.isMarker === true || version.Key === undefined || version.Key.endsWith('/')) continue;
    const name = version.Key.slice(bucket.prefix.length);
    if (last !== undefined && last.name !== name) yield tell(last);
    if (isKept(name)) last = { name, version };
    else {
      last = undefined;
      if (version.IsLatest === true) yield tell({ name, version });
    }
  }
  if (last !== undefined) yield tell(last);
}

/** `plain` and `putObject` put with `lockHeaders`. */
export function lockedBucket(plain: Storage, putObject: PutObject, immutable: Immutable, bucket: Bucket, readVersion: ReadVersion): Storage {
  const { requests, Bucket, prefix, clock } = bucket;
  const { place } = requests;
  const Mode = modeOf(immutable.mode);
  const oldest = openRecent<string>(remembered);
  const untils = openRecent<number>(remembered);

  const versionsOf = async (name: string): Promise<Version[]> => {
    const found: Version[] = [];
    for await (const version of versionsBelow(bucket, name)) if (version.Key === prefix + name) found.push(version);
    return found;
  };
  const oldestOf = async (name: string): Promise<string | undefined> => {
    const known = oldest.get(name);
    if (known !== undefined) return known;
    const version = (await versionsOf(name)).findLast(({ isMarker }) => isMarker !== true)?.VersionId;
    if (version !== undefined) oldest.set(name, version);
    return version;
  };
  /** As the store says it now; undefined: there is no such object. */
  const askUntil = async (name: string): Promise<number | null | undefined> => {
    const VersionId = await oldestOf(name);
    if (VersionId === undefined) return undefined;
    return await requests.ask(name, async (client, { signal }) => {
      try {
        const { ObjectLockMode, ObjectLockRetainUntilDate } = await client.send(new HeadObjectCommand({ Bucket, Key: prefix + name, VersionId }), { abortSignal: signal });
        const untilMs = ObjectLockMode === Mode || ObjectLockMode === 'COMPLIANCE' ? (ObjectLockRetainUntilDate?.getTime() ?? null) : null;
        if (untilMs !== null) untils.set(name, untilMs);
        return untilMs;
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
        oldest.delete(name);
        return undefined;
      }
    });
  };
  const isLong = (untilMs: number | null | undefined): boolean => typeof untilMs === 'number' && untilMs >= clock.now() + immutable.days * dayMs;
  const retainOne = async (name: string): Promise<void> => {
    if (isLong(untils.get(name))) return;
    const untilMs = await askUntil(name);
    if (untilMs === undefined) throw objectMissing({ object: name, place });
    if (isLong(untilMs)) return;
    const VersionId = await oldestOf(name);
    const Retention = { Mode, RetainUntilDate: new Date(untilOf(immutable, clock)) };
    await requests.ask(name, async (client, { signal }) => await client.send(new PutObjectRetentionCommand({ Bucket, Key: prefix + name, VersionId, Retention }), { abortSignal: signal }));
    await requireKept(name);
  };
  const requireKept = async (name: string): Promise<void> => {
    if (!isLong(await askUntil(name))) throw lockNotKept({ place, what: `it took a retention for ${name}, and does not have it when asked` });
  };
  const refuseRetained = async (name: string): Promise<void> => {
    const untilMs = isKept(name) ? await askUntil(name) : null;
    if (typeof untilMs === 'number' && untilMs > clock.now()) throw objectRetained({ object: name, place, until: new Date(untilMs).toISOString() });
  };
  const carries = async (name: string, { VersionId }: Version, word: string): Promise<boolean> =>
    await requests.ask(name, async (client, { signal }) => (await client.send(new HeadObjectCommand({ Bucket, Key: prefix + name, VersionId }), { abortSignal: signal })).Metadata?.[wordKey] === word);
  const drop = async (name: string, versions: readonly Version[]): Promise<void> => {
    for (const { VersionId } of versions) await requests.ask(name, async (client, { signal }) => await client.send(new DeleteObjectCommand({ Bucket, Key: prefix + name, VersionId }), { abortSignal: signal }));
  };
  const replaceable = async (name: string): Promise<Version[]> => {
    await refuseRetained(name);
    return await versionsOf(name);
  };
  const dropUnretained = async (name: string, versions: readonly Version[]): Promise<void> => {
    try {
      await drop(name, versions);
    } catch (error) {
      if (isFailure(error, bucketDenied)) throw objectRetained({ object: name, place, until: null }, error);
      throw error;
    }
    oldest.delete(name);
    untils.delete(name);
  };
  /** The oldest first, which is the one that is read. Killed in between, what was put may be replaced again, and what an earlier one put is as new as this. */
  const dropReplaced = async (name: string, versions: readonly Version[]): Promise<void> => {
    for (const version of versions.toReversed()) {
      try {
        await drop(name, [version]);
      } catch (error) {
        if (!isFailure(error, bucketDenied)) throw error;
        break;
      }
    }
    for (const known of [oldest, untils]) known.delete(name);
  };
  const deleteAll = async (name: string): Promise<void> => await dropUnretained(name, await replaceable(name));

  const retention: Required<Retention> = {
    ...immutable,
    retain: async (names) => void (await atOnce(asksAtOnce, [...new Set(names)], retainOne)),
    until: async (names) =>
      await atOnce(asksAtOnce, names, async (name) => {
        const untilMs = await askUntil(name);
        return typeof untilMs === 'number' && untilMs > clock.now() ? untilMs : null;
      }),
    tryLock: async () => await tryLock(bucket, immutable.mode),
  };
  return {
    ...plain,
    retention,
    list: (wanted) => keptBelow(bucket, wanted, (name, version) => oldest.set(name, version)),
    async stat(name) {
      if (!isKept(name)) return await plain.stat(name);
      const found = (await versionsOf(name)).findLast(({ isMarker }) => isMarker !== true);
      return found === undefined ? undefined : { name, bytes: found.Size ?? 0, modifiedMs: found.LastModified?.getTime() ?? 0 };
    },
    async read(name, range) {
      if (!isKept(name)) return await plain.read(name, range);
      const version = await oldestOf(name);
      if (version === undefined) throw objectMissing({ object: name, place });
      return range?.bytes === 0 ? new Uint8Array(0) : await readVersion(name, range, version);
    },
    async put(name, bytes, how) {
      const replaced = how === 'replace' && isKept(name) ? await replaceable(name) : [];
      const { outcome, word, version } = await putObject(name, bytes, how);
      if (outcome === 'exists') return outcome;
      await dropReplaced(name, replaced);
      const versions = (await versionsOf(name)).filter(({ isMarker }) => isMarker !== true);
      const first = versions.at(-1);
      if (how === 'new' && first !== undefined && first.VersionId !== version && !(await carries(name, first, word))) {
        if (!isKeptFromPut(name) && version !== undefined) await drop(name, [{ VersionId: version }]);
        return 'exists';
      }
      if (!isKept(name)) await drop(name, how === 'new' ? [] : versions.slice(1));
      oldest.delete(name);
      if (isKeptFromPut(name)) await requireKept(name);
      return outcome;
    },
    async create(name) {
      const writer = await plain.create(name);
      if (!isKeptFromPut(name)) return writer;
      return {
        ...writer,
        async commit() {
          await writer.commit();
          for (const known of [oldest, untils]) known.delete(name);
          await retainOne(name);
        },
      };
    },
    delete: deleteAll,
  };
}

/** Locks an object of its own for a minute, and does what must be refused. It is deleted by the next trial. */
export async function tryLock({ requests, Bucket, prefix, clock }: Bucket, mode: LockMode | null): Promise<PlaceFinding[]> {
  const { place } = requests;
  const Key = `${prefix}tidemark-trial/locked-${randomId()}`;
  const what = 'what is retained stays';
  const wantedMs = Math.ceil((clock.now() + shortestMs) / 1000) * 1000;
  const headers = { ObjectLockMode: modeOf(mode), ObjectLockRetainUntilDate: new Date(wantedMs) };
  const body = Buffer.from('trial');
  try {
    const { VersionId } = await requests.ask(Key, async (client, { signal }) => await client.send(new PutObjectCommand({ Bucket, Key, Body: body, ContentMD5: md5Of(body), ...headers }), { abortSignal: signal }));
    const kept = await requests.ask(Key, async (client, { signal }) => await client.send(new HeadObjectCommand({ Bucket, Key, VersionId }), { abortSignal: signal }));
    if (VersionId === undefined || kept.ObjectLockMode !== headers.ObjectLockMode || kept.ObjectLockRetainUntilDate?.getTime() !== wantedMs) {
      await requests.ask(Key, async (client, { signal }) => await client.send(new DeleteObjectCommand({ Bucket, Key }), { abortSignal: signal }));
      return [{ what, level: 'bad', says: 'the store takes a retention and does not keep it' }];
    }
    const isRefused = async (work: (client: Parameters<Parameters<Requests['ask']>[1]>[0], signal: AbortSignal) => Promise<unknown>): Promise<boolean> => {
      try {
        await requests.ask(Key, async (client, { signal }) => await work(client, signal));
        return false;
      } catch (error) {
        if (isFailure(error, bucketDenied) || isFailure(error, bucketRefused)) return true;
        throw error;
      }
    };
    const earlier = { Mode: headers.ObjectLockMode, RetainUntilDate: new Date(wantedMs - shortestMs / 2) };
    if (!(await isRefused(async (client, signal) => await client.send(new PutObjectRetentionCommand({ Bucket, Key, VersionId, Retention: earlier }), { abortSignal: signal })))) return [{ what, level: 'bad', says: 'the store lets a retention be shortened' }];
    if (!(await isRefused(async (client, signal) => await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }), { abortSignal: signal })))) return [{ what, level: 'bad', says: 'the store deletes what is retained' }];
    return [{ what, level: 'good', says: `kept (${mode ?? 'compliance'}); one small object stays for a minute` }];
  } catch (error) {
    if (isFailure(error, bucketRefused) || isFailure(error, bucketUnfit) || isFailure(error, bucketDenied)) return [{ what, level: 'bad', says: `the bucket takes no retention (it is made with object lock, or never has it): ${error.message.replace(place, 'it')}` }];
    throw error;
  }
}
