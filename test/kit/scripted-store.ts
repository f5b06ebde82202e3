/** A store that answers what a test says, and otherwise keeps objects in memory: for answers that a real one gives only when it is ill. Signatures are not looked at. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { S3Location } from '../../src/repository/storage/location.ts';

export type Asked = { readonly number: number; readonly method: string; readonly key: string; readonly query: URLSearchParams; readonly headers: IncomingMessage['headers'] };

/** `pass`: as a good store. `ignore-condition`: takes If-None-Match and does not keep it. `carry-out-and-hang-up`: done, and no answer. */
export type Wanted = 'pass' | 'ignore-condition' | 'carry-out-and-hang-up' | 'hang-up' | 'cut-body' | { readonly status: number; readonly code: string; readonly dateMs?: number };

export type ScriptedStore = { readonly location: S3Location; readonly asked: Asked[]; readonly objects: Map<string, Kept> };

type Kept = { readonly bytes: Buffer; readonly meta: Record<string, string>; readonly atMs: number };

export async function openScriptedStore(t: TestContext, script: (asked: Asked) => Wanted = () => 'pass'): Promise<ScriptedStore> {
  const objects = new Map<string, Kept>();
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const url = new URL(request.url!, 'http://store');
      const one: Asked = { number: asked.length + 1, method: request.method!, key: url.pathname.split('/').slice(request.headers.host!.startsWith('scripted.') ? 1 : 2).join('/'), query: url.searchParams, headers: request.headers };
      asked.push(one);
      answer(objects, one, Buffer.concat(pieces), script(one), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { asked, objects, location: { kind: 's3', endpoint: `http://127.0.0.1:${port}`, bucket: 'scripted', prefix: '', region: 'us-east-1', style: 'path', accessKeyId: 'AK', caPem: null, sse: null } };
}

function answer(objects: Map<string, Kept>, asked: Asked, body: Buffer, wanted: Wanted, response: ServerResponse): void {
  if (wanted === 'hang-up') return void response.destroy();
  if (typeof wanted === 'object') return refuse(response, wanted.status, wanted.code, wanted.dateMs);
  if (wanted === 'carry-out-and-hang-up') {
    carryOut(objects, asked, body, false);
    return void response.destroy();
  }
  const done = carryOut(objects, asked, body, wanted === 'ignore-condition');
  if ('code' in done) return refuse(response, done.status, done.code);
  response.writeHead(done.status, { 'content-length': done.body.length, ...done.headers });
  if (asked.method === 'HEAD') return void response.end();
  if (wanted !== 'cut-body') return void response.end(done.body);
  response.write(done.body.subarray(0, done.body.length / 2), () => response.destroy());
}

type Done = { readonly status: number; readonly body: Buffer; readonly headers: Record<string, string> } | { readonly status: number; readonly code: string };

function carryOut(objects: Map<string, Kept>, { method, key, query, headers }: Asked, body: Buffer, isConditionIgnored: boolean): Done {
  const kept = objects.get(key);
  const plain = (status: number, text: Buffer | string = '', more: Record<string, string> = {}): Done => ({ status, body: Buffer.from(text), headers: more });
  if (method === 'GET' && key === '') return plain(200, query.has('list-type') ? listOf(objects, query.get('prefix') ?? '') : query.has('versions') ? versionsOf(objects, query.get('prefix') ?? '') : '<X/>', { 'content-type': 'application/xml' });
  if (method === 'PUT') {
    if (headers['if-none-match'] === '*' && kept !== undefined && !isConditionIgnored) return { status: 412, code: 'PreconditionFailed' };
    const meta = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))) as Record<string, string>;
    objects.set(key, { bytes: body, meta, atMs: Date.now() });
    return plain(200, '', { etag: '"1"' });
  }
  if (method === 'DELETE') {
    objects.delete(key);
    return plain(204);
  }
  if (kept === undefined) return { status: 404, code: 'NoSuchKey' };
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
  const bytes = range === null ? kept.bytes : kept.bytes.subarray(Number(range[1]), Number(range[2]) + 1);
  return plain(range === null ? 200 : 206, bytes, { 'last-modified': new Date(kept.atMs).toUTCString(), ...kept.meta });
}

/** A store without versions lists each object as the one that it has. */
function versionsOf(objects: Map<string, Kept>, prefix: string): string {
  const found = [...objects].filter(([key]) => key.startsWith(prefix)).map(([key, { bytes, atMs }]) => `<Version><Key>${key}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><Size>${bytes.length}</Size><LastModified>${new Date(atMs).toISOString()}</LastModified></Version>`);
  return `<ListVersionsResult><IsTruncated>false</IsTruncated>${found.join('')}</ListVersionsResult>`;
}

function listOf(objects: Map<string, Kept>, prefix: string): string {
  const found = [...objects].filter(([key]) => key.startsWith(prefix)).map(([key, { bytes, atMs }]) => `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${new Date(atMs).toISOString()}</LastModified></Contents>`);
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${found.join('')}</ListBucketResult>`;
}

function refuse(response: ServerResponse, status: number, code: string, dateMs?: number): void {
  response.writeHead(status, { 'content-type': 'application/xml', ...(dateMs === undefined ? {} : { date: new Date(dateMs).toUTCString() }) });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>said by the test</Message></Error>`);
}
