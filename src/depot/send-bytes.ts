import { createReadStream } from 'node:fs';
import type { FastifyReply } from 'fastify';
import type { StoredPackage } from './package-store.ts';

/** Sends an archive, or the one range of it that was asked for. */
export async function sendBytes(reply: FastifyReply, { manifest, file }: StoredPackage, range: string | undefined): Promise<void> {
  const { bytes, sha256 } = manifest;
  reply.header('accept-ranges', 'bytes').header('etag', `"${sha256}"`).type('application/gzip');
  const wanted = range === undefined ? { from: 0, to: bytes - 1 } : rangeIn(range, bytes);
  if (wanted === undefined) return await reply.code(416).header('content-range', `bytes */${bytes}`).send();
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${wanted.from}-${wanted.to}/${bytes}`);
  reply.header('content-length', wanted.to - wanted.from + 1);
  return await reply.send(createReadStream(file, { start: wanted.from, end: wanted.to }));
}

/** `bytes=0-99`, `bytes=100-`, `bytes=-100`; undefined when it is none of them or lies outside. */
export function rangeIn(text: string, bytes: number): { from: number; to: number } | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text);
  if (match === null || match[0] === 'bytes=-') return undefined;
  const [, first, last] = match as unknown as [string, string, string];
  const from = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const to = first === '' || last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1);
  return from <= to && from < bytes ? { from, to } : undefined;
}
