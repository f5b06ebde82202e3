import { parentPort, workerData } from 'node:worker_threads';
import { openStoreWork, type StoreOrder, type StoreWorkerData } from './store-work.ts';
import { obeyUntilEnd } from './worker-end.ts';

const obey = openStoreWork(workerData as StoreWorkerData);

obeyUntilEnd<StoreOrder>(parentPort!, (order) => {
  const answer = obey(order);
  if (answer !== undefined) parentPort!.postMessage(answer);
});
