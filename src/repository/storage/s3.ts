/**
 * A prefix of a bucket as storage (docs/design/storage-kinds.md, "S3").
 *
 *   put new        PUT with If-None-Match: *, which a store decides in one step. 412 is "exists", unless the object that is there
 *                  carries our own word: then an earlier request of ours was carried out and its answer lost
 *   put replace    PUT
 *   create … commit   a multipart upload, or one PUT where it is small (s3-writer.ts)
 *   read           GET with a range; a body that was cut is read again
 *   list           pages of a thousand
 *
 * Durable is what the store answered 200 to. No folder is made, and the bucket itself never is.
 */
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { systemClock, type Clock } from '../../base/clock.ts';
import { randomId } from '../../base/ids.ts';
import { bucketUnfit, lockNotKept, objectMissing, objectShort } from '../failures.ts';
import { readImmutable } from '../immutable.ts';
import { BodyCut, nameOf, statusOf, wordKey } from './s3-answers.ts';
import { dropAbandoned } from './s3-abandoned.ts';
import { openRequests, usualTimes, type RequestTimes, type Requests } from './s3-requests.ts';
import { findRules } from './s3-rules.ts';
import { lockedBucket, lockHeaders, md5Of, openOldest, tryLock, type PutObject, type ReadVersion } from './s3-lock.ts';
import { hasWord, openPartLine, openUploadWriter, type PutHeaders, type Target } from './s3-writer.ts';
import type { S3Location } from './location.ts';
import type { Immutable, Storage, StoredObject } from './storage.ts';

const usualParts = 6;
const pageOf = 1000;

export type BucketOptions = { readonly create?: boolean; readonly isNew?: boolean; readonly immutable?: Immutable; readonly isReadOnly?: boolean; /** Parts of objects that are sent at once. */ readonly connections?: number | undefined; readonly clock?: Clock; readonly times?: Partial<RequestTimes> };

/** `create`, `isNew`: the store is shown to keep the promises that it can break, before a repository in it is made or first written. */
export async function openBucket(location: S3Location, secret: string, options: BucketOptions = {}): Promise<Storage> {
  const { clock = systemClock } = options;
  const times = { ...usualTimes, ...options.times };
  const place = `s3:${[location.endpoint.replace(/\/$/, ''), location.bucket, ...(location.prefix === '' ? [] : [location.prefix])].join('/')}`;
  const requests = openRequests(location, secret, place, times, clock);
  try {
    await requests.ask('the list of objects', async (client, { signal }) => await client.send(new ListObjectsV2Command({ Bucket: location.bucket, Prefix: prefixOf(location), MaxKeys: 1 }), { abortSignal: signal }), times.reachMs);
    const bucket = { requests, Bucket: location.bucket, prefix: prefixOf(location), clock };
    const readVersion: ReadVersion = async (name, range, VersionId) => await readObject(requests, { Bucket: location.bucket, Key: prefixOf(location) + name, VersionId }, name, range);
    const immutable = options.immutable ?? (await immutableThere(bucketStorage(requests, location, clock, undefined), await openOldest(bucket, readVersion)));
    const plain = bucketStorage(requests, location, clock, immutable, options.connections);
    const storage = immutable === undefined ? plain : lockedBucket(plain, plain.putObject, immutable, bucket, readVersion);
    if (options.create === true || options.isNew === true) await requireFit(storage, { ...bucket, immutable, sse: location.sse });
    return storage;
  } catch (error) {
    requests.close();
    throw error;
  }
}

/** As the repository's oldest descriptor says: a newer one may be anybody's. */
async function immutableThere(plain: Storage, oldest: Pick<Storage, 'read' | 'list'> | undefined): Promise<Immutable | undefined> {
  if (oldest !== undefined) return await readImmutable(oldest);
  if ((await readImmutable(plain)) === undefined) return undefined;
  throw lockNotKept({ place: plain.place, what: 'its repository is immutable, and the store does not list versions' });
}

function prefixOf({ prefix }: S3Location): string {
  return prefix === '' ? '' : `${prefix}/`;
}

function bucketStorage(requests: Requests, location: S3Location, clock: Clock, immutable: Immutable | undefined, connections = usualParts): Storage & { readonly putObject: PutObject } {
  const { place } = requests;
  const Bucket = location.bucket;
  const prefix = prefixOf(location);
  const line = openPartLine(connections);
  const at = (name: string): Target => ({ Bucket, Key: prefix + name });
  const sse = sseHeaders(location.sse);
  const isSummed = immutable !== undefined;
  const headers = (name: string): PutHeaders => ({ ...sse, ...lockHeaders(name, immutable, clock) });
  let isTidied = false;
  const tidy = (): void => {
    if (isTidied) return;
    isTidied = true;
    // Whoever may not do it leaves it to another one.
    dropAbandoned(requests, Bucket, prefix, clock.now()).catch(() => {});
  };

  const stat = async (name: string): Promise<StoredObject | undefined> =>
    await requests.ask(name, async (client, { signal }) => {
      try {
        const { ContentLength = 0, LastModified } = await client.send(new HeadObjectCommand(at(name)), { abortSignal: signal });
        return { name, bytes: ContentLength, modifiedMs: LastModified?.getTime() ?? 0 };
      } catch (error) {
        if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return undefined;
        throw error;
      }
    });

  const putObject: PutObject = async (name, bytes, how) => {
    const word = randomId();
    const wanted: PutObjectCommandInput = { ...at(name), Body: bytes, ContentLength: bytes.length, Metadata: { [wordKey]: word }, ...headers(name), ...(isSummed && { ContentMD5: md5Of(bytes) }), ...(how === 'new' ? { IfNoneMatch: '*' } : {}) };
    return await requests.ask(name, async (client, { signal, mayBeDone }) => {
      try {
        const { VersionId } = await client.send(new PutObjectCommand(wanted), { abortSignal: signal });
        return { outcome: 'stored', word, version: mayBeDone ? undefined : VersionId };
      } catch (error) {
        if (how !== 'new' || statusOf(error) !== 412) throw error;
        return { outcome: (await hasWord(client, at(name), word, signal)) ? 'stored' : 'exists', word, version: undefined };
      }
    });
  };
  const put: Storage['put'] = async (name, bytes, how) => (await putObject(name, bytes, how)).outcome;

  return {
    place,
    list: (wanted) => listed(requests, Bucket, prefix, wanted),
    stat,
    read: async (name, range) => {
      if (range?.bytes !== 0) return await readObject(requests, at(name), name, range);
      if ((await stat(name)) === undefined) throw objectMissing({ object: name, place });
      return new Uint8Array(0);
    },
    put,
    putObject,
    create: async (name) => openUploadWriter({ requests, target: at(name), name, line, headers: headers(name), isSummed, putWhole: async (bytes) => await put(name, bytes, 'replace'), onUpload: tidy }),
    delete: async (name) =>
      await requests.ask(name, async (client, { signal }) => {
        try {
          await client.send(new DeleteObjectCommand(at(name)), { abortSignal: signal });
        } catch (error) {
          if (statusOf(error) !== 404 || nameOf(error) === 'NoSuchBucket') throw error;
        }
      }),
    freeBytes: async () => null,
    findings: async () => await findRules(requests, Bucket, prefix),
    close: async () => requests.close(),
  };
}

async function readObject(requests: Requests, target: Target & { readonly VersionId?: string }, object: string, range: { from: number; bytes: number } | undefined): Promise<Uint8Array> {
  const { place, times } = requests;
  const Range = range === undefined ? undefined : `bytes=${range.from}-${range.from + range.bytes - 1}`;
  return await requests.ask(object, async (client, { signal }) => {
    try {
      const { Body, ContentLength } = await client.send(new GetObjectCommand({ ...target, Range }), { abortSignal: signal });
      if (Body === undefined || ContentLength === undefined) throw new BodyCut('an answer without a body');
      const bytes = await collect(Body as Readable, ContentLength, times.idleMs, signal);
      if (range !== undefined && bytes.length !== range.bytes) throw objectShort({ object, place, wanted: range.bytes, got: bytes.length });
      return bytes;
    } catch (error) {
      // The range starts behind the end.
      if (range !== undefined && statusOf(error) === 416) throw objectShort({ object, place, wanted: range.bytes, got: 0 }, error);
      throw error;
    }
  });
}

/** The body in memory of its own. */
async function collect(body: Readable, length: number, idleMs: number, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let got = 0;
  const end = (): void => void body.destroy(new BodyCut('nothing more of the body came'));
  const silence = setTimeout(end, idleMs);
  signal.addEventListener('abort', end, { once: true });
  try {
    for await (const piece of body as AsyncIterable<Uint8Array>) {
      silence.refresh();
      if (got + piece.length > length) throw new BodyCut('the body is longer than announced');
      bytes.set(piece, got);
      got += piece.length;
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', end);
  }
  if (got < length) throw new BodyCut(`the body ended after ${got} of ${length} bytes`);
  return bytes;
}

async function* listed(requests: Requests, Bucket: string, prefix: string, wanted: string): AsyncIterable<StoredObject> {
  let ContinuationToken: string | undefined;
  do {
    const asked = new ListObjectsV2Command({ Bucket, Prefix: prefix + wanted, MaxKeys: pageOf, ContinuationToken });
    const page = await requests.ask(`the list of ${wanted === '' ? 'objects' : wanted}`, async (client, { signal }) => await client.send(asked, { abortSignal: signal }));
    for (const { Key, Size = 0, LastModified } of page.Contents ?? []) {
      // A key that ends with '/' is what other programs show a folder by.
      if (Key !== undefined && !Key.endsWith('/')) yield { name: Key.slice(prefix.length), bytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
    }
    ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (ContinuationToken !== undefined);
}

/** What stores are known to break: a condition that is accepted and not kept, and rules that delete what they did not write. */
async function requireFit(storage: Storage, bucket: Parameters<typeof tryLock>[0] & { readonly immutable: Immutable | undefined; readonly sse: S3Location['sse'] }): Promise<void> {
  const { place } = storage;
  const eaten = (await storage.findings?.())?.find(({ level }) => level === 'bad');
  if (eaten !== undefined) throw bucketUnfit({ place, what: eaten.says });
  const name = `tidemark-trial/${randomId()}`;
  try {
    const answers = [await storage.put(name, Buffer.from('first'), 'new'), await storage.put(name, Buffer.from('second'), 'new')];
    if (answers.join() !== 'stored,exists') throw bucketUnfit({ place, what: 'it accepts If-None-Match and replaces the object all the same' });
    if (bucket.sse !== null) await requireSse(bucket, name, bucket.sse);
  } finally {
    await storage.delete(name);
  }
  if (bucket.immutable === undefined) return;
  const bad = (await tryLock(bucket, bucket.immutable.mode)).find(({ level }) => level === 'bad');
  if (bad !== undefined) throw lockNotKept({ place, what: bad.says });
}

function sseHeaders(sse: S3Location['sse']): Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'> {
  if (sse === null) return {};
  return sse === 'AES256' ? { ServerSideEncryption: sse } : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: sse.kms };
}

/** A store that does not encrypt answers without the word. Of a key that was named by its id alone it may answer the whole name, which ends with it. */
async function requireSse({ requests, Bucket, prefix }: Parameters<typeof tryLock>[0], name: string, sse: NonNullable<S3Location['sse']>): Promise<void> {
  const { ServerSideEncryption, SSEKMSKeyId } = await requests.ask(name, async (client, { signal }) => await client.send(new HeadObjectCommand({ Bucket, Key: prefix + name }), { abortSignal: signal }));
  const wanted = sseHeaders(sse);
  const isKeyRight = wanted.SSEKMSKeyId === undefined || SSEKMSKeyId === wanted.SSEKMSKeyId || SSEKMSKeyId?.endsWith(`/${wanted.SSEKMSKeyId}`) === true;
  if (ServerSideEncryption === wanted.ServerSideEncryption && isKeyRight) return;
  const said = [ServerSideEncryption ?? 'nothing', ...(SSEKMSKeyId === undefined ? [] : [`key ${SSEKMSKeyId}`])].join(', ');
  throw bucketUnfit({ place: requests.place, what: `it takes the wish to encrypt (${wanted.ServerSideEncryption!}) and does not: the object says ${said}` });
}
