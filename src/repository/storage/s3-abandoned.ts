/**
 * Uploads that were begun and never ended: nobody sees them, and they take space. Who began one is not known, so one is taken
 * back only when it is a day old; a pack is filled in minutes. A writer that is slower than that fails at its commit, and
 * nothing that was stored is hurt.
 */
import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Requests } from './s3-requests.ts';

export const abandonedMs = 86_400_000;

export async function dropAbandoned(requests: Requests, bucket: string, prefix: string, nowMs: number): Promise<number> {
  let dropped = 0;
  let from: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await requests.ask('uploads', async (client, { signal }) => await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...from }), { abortSignal: signal }));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined || nowMs - Initiated.getTime() < abandonedMs) continue;
      await requests.ask(Key, async (client, { signal }) => await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), { abortSignal: signal }));
      dropped += 1;
    }
    if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return dropped;
    from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}
