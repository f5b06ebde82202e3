import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { openStorage } from './open-storage.ts';
import { partBytes } from './s3-writer.ts';

/** A store that answers no part before `atOnce` of them are there. */
async function openHoldingStore(t: TestContext, atOnce: number): Promise<{ endpoint: string; most: () => number }> {
  const held: ServerResponse[] = [];
  let most = 0;
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url!, 'http://store');
    request.resume().on('end', () => {
      if (searchParams.has('partNumber')) {
        held.push(response);
        most = Math.max(most, held.length);
        if (held.length === atOnce) for (const one of held.splice(0)) one.writeHead(200, { etag: '"1"' }).end();
      } else if (request.method === 'POST') response.writeHead(200, { 'content-type': 'application/xml' }).end(searchParams.has('uploads') ? '<R><UploadId>u</UploadId></R>' : '<R><ETag>"2"</ETag></R>');
      else if (request.method === 'GET' && request.url!.includes('?')) response.writeHead(200, { 'content-type': 'application/xml' }).end('<R><IsTruncated>false</IsTruncated></R>');
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, most: () => most };
}

for (const connections of [2, 8]) {
  test(`an object goes to a bucket in ${connections} parts at once, where the repository says so`, { timeout: 60_000 }, async (t) => {
    const store = await openHoldingStore(t, connections);
    const location = { kind: 's3', endpoint: store.endpoint, bucket: 'bucket', prefix: '', region: 'us-east-1', style: 'path', accessKeyId: 'AK', caPem: null, sse: null } as const;
    const storage = await openStorage({ location, secret: 'secret' }, { isReadOnly: false, connections });
    t.after(async () => await storage.close?.());
    const writer = await storage.create('large');
    const part = Buffer.alloc(partBytes);
    for (let n = 0; n < 2 * connections; n++) await writer.append(part);
    await writer.commit();
    assert.equal(store.most(), connections);
  });
}
