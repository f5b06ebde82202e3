import { parentPort } from 'node:worker_threads';
import { obeyLayOrder, type LayOrder } from './lay-work.ts';

parentPort!.on('message', (order: LayOrder) => parentPort!.postMessage(obeyLayOrder(order)));
