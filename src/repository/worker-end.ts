/**
 * Ends a worker thread by its own hand. One that is ended from outside while it still loads and binds native functions takes
 * the whole process with it (a failed throw into an environment that is being torn down is fatal to Node).
 */
import { once } from 'node:events';
import type { MessagePort, Worker } from 'node:worker_threads';
import { withDeadline } from '../base/deadline.ts';

const endOrder = 'end';
/** Loading takes half a second, an order a few milliseconds. */
const endMs = 20_000;

/** What is under way in it is finished first. */
export async function endWorker(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return;
  worker.postMessage(endOrder);
  await withDeadline('the end of a worker', endMs, async () => await once(worker, 'exit')).catch(async () => await worker.terminate());
}

/** In the worker: orders, until it is to end. */
export function obeyUntilEnd<Order>(port: MessagePort, obey: (order: Order) => void): void {
  port.on('message', (order: Order | typeof endOrder) => {
    if (order === endOrder) port.close();
    else obey(order);
  });
}
