/** A process that ends workers at many moments of their start, the binding of native functions among them. */
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { endWorker } from '../../src/repository/worker-end.ts';

for (let ms = 60; ms < 180; ms += 2) {
  const worker = new Worker(new URL('../../src/repository/lay-worker.ts', import.meta.url));
  await pause(ms);
  await endWorker(worker);
}
process.stdout.write('whole\n');
