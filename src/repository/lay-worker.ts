import { parentPort } from 'node:worker_threads';
import { obeyLayOrder, type LayOrder } from './lay-work.ts';
import { obeyUntilEnd } from './worker-end.ts';

obeyUntilEnd<LayOrder>(parentPort!, (order) => parentPort!.postMessage(obeyLayOrder(order)));
