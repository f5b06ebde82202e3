/**
 * An object written piece by piece, as a multipart upload.
 *
 *   collecting ── a part is full ──▶ uploading parts, the next one is filled ──commit──▶ last part ▶ complete: now it is there
 *       └──── commit ──▶ one PUT: what never filled a part
 *
 * Nothing of an upload is listed or readable before it is completed. The upload carries a random word as metadata: where a
 * repeated `complete` finds no upload, because the first one was carried out and its answer lost, the object with our word says so.
 * Memory: the part that is filled, and those on their way, which are limited for all writers together.
 */
import { AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateMultipartUploadCommand, HeadObjectCommand, UploadPartCommand, type CompletedPart, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import { randomId } from '../../base/ids.ts';
import { bucketRefused, storageFailed } from '../failures.ts';
import { nameOf, statusOf, wordKey } from './s3-answers.ts';
import { md5Of, type LockHeaders } from './s3-lock.ts';
import type { Requests } from './s3-requests.ts';
import { openGate, type Gate } from './gate.ts';
import type { StorageWriter } from './storage.ts';

export const partBytes = 8 << 20;
const smallestBuffer = 256 << 10;
const abortMs = 10_000;
const mostSpare = 4;

/** What an object is put with: for how long it is locked, and how the store encrypts it. */
export type PutHeaders = LockHeaders & Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'>;

export type Target = { readonly Bucket: string; readonly Key: string };

/** Parts on their way, of all writers of a storage; and buffers that are free again. */
export type PartLine = Gate & { readonly spare: Buffer[] };

export function openPartLine(most: number): PartLine {
  return { ...openGate(most), spare: [] };
}

type Parts = { readonly requests: Requests; readonly target: Target; readonly name: string; readonly line: PartLine; readonly headers: PutHeaders; /** Each part carries its MD5, as stores want it of what is locked. */ readonly isSummed: boolean; /** Stores what never filled a part. */ readonly putWhole: (bytes: Uint8Array) => Promise<unknown>; readonly onUpload: () => void };

export function openUploadWriter({ requests, target, name, line, headers, isSummed, putWhole, onUpload }: Parts): StorageWriter {
  const word = randomId();
  const sent: Promise<CompletedPart>[] = [];
  let upload: Promise<string> | undefined;
  let filling: Buffer | undefined;
  let filled = 0;
  let failed: unknown;
  let state: 'open' | 'ended' = 'open';

  const alive = (): void => {
    if (failed !== undefined) throw failed as Error;
    if (state === 'ended') throw storageFailed({ place: requests.place, object: name, why: 'it is written to after its end' });
  };

  const begin = async (): Promise<string> => {
    onUpload();
    return await requests.ask(name, async (client, { signal }) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...target, ...headers, Metadata: { [wordKey]: word } }), { abortSignal: signal });
      if (UploadId === undefined) throw bucketRefused({ place: requests.place, object: name, why: 'an upload was begun without an id' });
      return UploadId;
    });
  };

  /** The buffer is the line's when the part has been answered, and never after a failure: a request that was given up may still read it. */
  const sendPart = async (): Promise<void> => {
    const [buffer, body, number] = [filling!, filling!.subarray(0, filled), sent.length + 1];
    [filling, filled] = [undefined, 0];
    upload ??= begin();
    await line.enter();
    const part = upload
      .then(async (UploadId) => {
        return await requests.ask(name, async (client, { signal, mayBeDone }) => {
          const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber: number, Body: body, ContentLength: body.length, ...(isSummed && { ContentMD5: md5Of(body) }) }), { abortSignal: signal });
          if (!mayBeDone && buffer.length === partBytes && line.spare.length < mostSpare) line.spare.push(buffer);
          return { ETag, PartNumber: number };
        });
      })
      .finally(line.leave);
    part.catch((error: unknown) => void (failed ??= error));
    sent.push(part);
  };

  const room = (wanted: number): Buffer => {
    if (filling !== undefined && filled < filling.length) return filling;
    if (filling === undefined && sent.length > 0) return (filling = line.spare.pop() ?? Buffer.allocUnsafeSlow(partBytes));
    const larger = Buffer.allocUnsafeSlow(Math.min(partBytes, Math.max(smallestBuffer, 2 * (filling?.length ?? 0), Math.min(wanted, partBytes))));
    filling?.copy(larger, 0, 0, filled);
    return (filling = larger);
  };

  const complete = async (UploadId: string): Promise<void> => {
    const parts = await Promise.all(sent);
    await requests.ask(name, async (client, attempt) => {
      try {
        await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }), { abortSignal: attempt.signal });
      } catch (error) {
        const isGone = nameOf(error) === 'NoSuchUpload' || statusOf(error) === 404;
        if (!(isGone && attempt.mayBeDone && (await hasWord(client, target, word, attempt.signal)))) throw error;
      }
    });
  };

  return {
    async append(bytes) {
      alive();
      for (let at = 0; at < bytes.length; ) {
        const buffer = room(filled + bytes.length - at);
        const piece = bytes.subarray(at, at + buffer.length - filled);
        buffer.set(piece, filled);
        filled += piece.length;
        at += piece.length;
        if (filled === partBytes) await sendPart();
      }
      alive();
    },
    async commit() {
      alive();
      if (upload === undefined) {
        await putWhole((filling ?? Buffer.alloc(0)).subarray(0, filled));
      } else {
        if (filled > 0) await sendPart();
        await complete(await upload);
      }
      state = 'ended';
      filling = undefined;
    },
    async abort() {
      if (state === 'ended') return;
      state = 'ended';
      filling = undefined;
      if (upload === undefined) return;
      await Promise.allSettled(sent);
      // What cannot be taken back now is taken back when it is old (s3-abandoned.ts).
      await upload
        .then(async (UploadId) => await requests.ask(name, async (client, { signal }) => await client.send(new AbortMultipartUploadCommand({ ...target, UploadId }), { abortSignal: signal }), abortMs))
        .catch(() => {});
    },
  };
}

/** Whether the object there is the one that was written with this word. */
export async function hasWord(client: S3Client, target: Target, word: string, signal: AbortSignal): Promise<boolean> {
  try {
    const { Metadata } = await client.send(new HeadObjectCommand(target), { abortSignal: signal });
    return Metadata?.[wordKey] === word;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}
