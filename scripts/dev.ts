/**
 * `npm run dev`: a three-member replica set with a little data, Tidemark in front of it, and the words to talk to both.
 * Everything is gone at Ctrl-C.
 */
import { openPlatform } from '../test/kit/platform.ts';
import { openReplicaSet } from '../test/kit/replica-set.ts';

const documents = 20_000;
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
});

console.error('starting a replica set');
await using set = await openReplicaSet({ name: 'rs0', oplogSizeMb: 256 });
const client = await set.client();
const orders = Array.from({ length: documents }, (_, number) => ({ _id: number, customer: `c${number % 997}`, total: (number * 37) % 10_000 }));
await client.db('shop').collection<{ _id: number }>('orders').insertMany(orders);
await client.close();

console.error('starting Tidemark');
await using platform = await openPlatform();
await platform.ok('set', 'add', set.uri, '--name', 'rs0');
console.log(`
replica set  ${set.uri}   (shop.orders, ${documents} documents)
server       ${platform.url}   (description: /api/v1/openapi.json)
data         ${platform.dataDir}

export TIDEMARK_SERVER=${platform.url} TIDEMARK_TOKEN_FILE=${platform.dataDir}/admin.token
npx tidemark backup run rs0

Ctrl-C ends all of it.`);
await asked;
console.error('stopping');
