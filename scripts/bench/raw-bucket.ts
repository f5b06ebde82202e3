/** A process of `bench storage`: carries files to a bucket and back as they are, with the library as it comes: parts of 8 MiB, eight requests at once, fsync at the end. */
import { mkdirSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, GetObjectCommand, PutObjectCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { atOnce } from '../../src/base/at-once.ts';
import type { S3Location } from '../../src/repository/storage/location.ts';
import type { BenchFile } from './storage-bed.ts';

export type RawJob = { readonly location: S3Location; readonly secret: string; readonly files: readonly BenchFile[]; /** Null: there; a folder: back. */ readonly to: string | null };
export type RawDone = { readonly seconds: number };

const partBytes = 8 << 20;
const partsAtOnce = 8;

process.once('message', (job: RawJob) => {
  void run(job).then((done) => process.send!(done, () => process.exit(0)));
});

async function run({ location, secret, files, to }: RawJob): Promise<RawDone> {
  const { endpoint, region, accessKeyId, bucket: Bucket } = location;
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey: secret } });
  const startedMs = performance.now();
  for (const file of files) {
    const target = { Bucket, Key: `raw/${file.path}` };
    if (to === null) await put(client, target, file);
    else await get(client, target, file, join(to, file.path));
  }
  return { seconds: (performance.now() - startedMs) / 1000 };
}

type Target = { readonly Bucket: string; readonly Key: string };

function partsOf({ bytes }: BenchFile): { number: number; from: number; bytes: number }[] {
  return Array.from({ length: Math.max(1, Math.ceil(bytes / partBytes)) }, (_, k) => ({ number: k + 1, from: k * partBytes, bytes: Math.min(partBytes, bytes - k * partBytes) }));
}

async function put(client: S3Client, target: Target, file: BenchFile): Promise<void> {
  const handle = await open(file.from, 'r');
  try {
    const parts = partsOf(file);
    if (parts.length === 1) return void (await client.send(new PutObjectCommand({ ...target, Body: await read(handle, 0, file.bytes) })));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
    const Parts = await atOnce(partsAtOnce, parts, async ({ number, from, bytes }) => {
      const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber: number, Body: await read(handle, from, bytes) }));
      return { ETag, PartNumber: number };
    });
    await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
  } finally {
    await handle.close();
  }
}

async function read(handle: FileHandle, from: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  await handle.read(buffer, 0, bytes, from);
  return buffer;
}

async function get(client: S3Client, target: Target, file: BenchFile, to: string): Promise<void> {
  mkdirSync(dirname(to), { recursive: true });
  const handle = await open(to, 'w');
  try {
    await atOnce(partsAtOnce, file.bytes === 0 ? [] : partsOf(file), async ({ from, bytes }) => {
      const { Body } = await client.send(new GetObjectCommand({ ...target, Range: `bytes=${from}-${from + bytes - 1}` }));
      await handle.write(await Body!.transformToByteArray(), 0, bytes, from);
    });
    await handle.sync();
  } finally {
    await handle.close();
  }
}
