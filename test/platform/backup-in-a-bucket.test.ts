/** A real set whose archive is in a bucket of a real store: opened straight by its host, and through a gateway host over data channels. */
import { test, type TestContext } from 'node:test';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { openObjectStore, whyNoObjectStore } from '../kit/object-store.ts';
import { backUpToStruckPlace } from '../kit/struck-place.ts';

test('a set is backed up into a bucket whose store is killed in the middle, and comes back straight and through a gateway', { skip: whyNoObjectStore(), timeout: 5 * 60_000 }, async (t: TestContext) => {
  const store = await openObjectStore();
  t.after(async () => await store[Symbol.asyncDispose]());
  const proxy = await openCuttingProxy(t, [store.port]);
  const location = { ...(await store.bucket('backup', { port: proxy.ports[0]!, prefix: 'mongo' })), straight: true };
  const strike = async (): Promise<void> => {
    await store.kill();
    await store.start();
  };
  await backUpToStruckPlace(t, { location, secret: store.secret, proxy, strike });
});
