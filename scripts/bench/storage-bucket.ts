import { openObjectStore, whyNoObjectStore } from '../../test/kit/object-store.ts';
import { workOfChild } from './child-work.ts';
import type { RawDone, RawJob } from './raw-bucket.ts';
import type { Run } from './run.ts';
import type { StorageBed } from './storage-bed.ts';

const GIB = 2 ** 30;

/** Ceph's gateway on an OSD that keeps all in memory. */
export async function openBucketBed(run: Run): Promise<StorageBed | undefined> {
  const missing = whyNoObjectStore();
  if (missing !== undefined) {
    run.say(`no bucket: ${missing}`);
    return undefined;
  }
  const store = run.stack.use(await openObjectStore({ memoryBytes: 16 * GIB }));
  const location = await store.bucket('bench');
  const job = { location, secret: store.secret };
  return {
    name: 's3',
    place: async (round) => await Promise.resolve({ location: { ...location, prefix: `round-${round}` }, secret: store.secret }),
    requests: async () => (await store.counters())['req'] ?? 0,
    raw: {
      put: async (files) => ({ ...(await workOfChild<RawJob, RawDone>('raw-bucket.ts', { ...job, files, to: null })), syncSeconds: 0 }),
      get: async (files, to) => ({ ...(await workOfChild<RawJob, RawDone>('raw-bucket.ts', { ...job, files, to })), syncSeconds: 0 }),
    },
  };
}
