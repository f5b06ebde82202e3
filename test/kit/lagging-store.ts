/** A proxy in front of a real object store whose lists stand still: everything else is the store's own answer, signatures included. */
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ListObjectsV2Command, type _Object } from '@aws-sdk/client-s3';
import type { ObjectStore } from './object-store.ts';

export type LaggingStore = {
  readonly port: number;
  /** From now on its lists are those of this moment. */
  hold(): Promise<void>;
  release(): void;
  readonly oldLists: number;
};

export async function openLaggingStore(t: TestContext, store: ObjectStore, bucket: string): Promise<LaggingStore> {
  let held: _Object[] | undefined;
  let oldLists = 0;
  const server = createServer((asked, answer) => {
    const url = new URL(asked.url!, 'http://store');
    if (held === undefined || asked.method !== 'GET' || url.searchParams.get('list-type') !== '2') return pass(store.port, asked, answer);
    oldLists += 1;
    answer.writeHead(200, { 'content-type': 'application/xml' }).end(listOf(bucket, held, url.searchParams.get('prefix') ?? ''));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    async hold() {
      const found: _Object[] = [];
      for (let ContinuationToken: string | undefined, more = true; more; ) {
        const page = await store.client.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken }));
        found.push(...(page.Contents ?? []));
        ContinuationToken = page.NextContinuationToken;
        more = page.IsTruncated === true;
      }
      held = found;
    },
    release: () => void (held = undefined),
    get oldLists() {
      return oldLists;
    },
  };
}

function pass(port: number, asked: IncomingMessage, answer: ServerResponse): void {
  // Headers as they are: the signature is over the name that the client dialled.
  const passed = ask({ host: '127.0.0.1', port, method: asked.method, path: asked.url, headers: asked.headers }, (found) => {
    answer.writeHead(found.statusCode!, found.rawHeaders);
    found.pipe(answer);
  });
  passed.on('error', () => answer.destroy());
  asked.on('aborted', () => passed.destroy());
  asked.pipe(passed);
}

/** In one page: nobody asks on. */
function listOf(bucket: string, objects: readonly _Object[], prefix: string): string {
  const found = objects.filter(({ Key }) => Key!.startsWith(prefix));
  const entries = found.map(({ Key, Size, LastModified, ETag }) => `<Contents><Key>${Key!}</Key><LastModified>${LastModified!.toISOString()}</LastModified><ETag>${ETag!.replaceAll('"', '&quot;')}</ETag><Size>${Size!}</Size><StorageClass>STANDARD</StorageClass></Contents>`);
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name><Prefix>${prefix}</Prefix><KeyCount>${found.length}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`;
}
