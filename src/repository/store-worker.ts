import { parentPort, workerData } from 'node:worker_threads';
import { openStoreWork, type StoreOrder, type StoreWorkerData } from './store-work.ts';

const obey = openStoreWork(workerData as StoreWorkerData);

parentPort!.on('message', (order: StoreOrder) => {
  const answer = obey(order);
  if (answer !== undefined) parentPort!.postMessage(answer);
});
