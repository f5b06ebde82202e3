import { Worker } from 'node:worker_threads';
import { workerFailed } from './failures.ts';
import { obeyLayOrder, type LayAnswer, type LayOrder } from './lay-work.ts';
import { openStages, type Stages } from './stages.ts';
import { endWorker } from './worker-end.ts';

export type LayPool = {
  readonly stages: Stages;
  /** Waits until few enough orders are under way, and takes a place; `run` or `leave` gives it back. */
  room(): Promise<void>;
  leave(): void;
  run(order: Omit<LayOrder, 'number'>): Promise<LayAnswer>;
  close(): Promise<void>;
};

/** Orders under way for each worker: one at work and the next ones at hand. */
const ordersPerWorker = 4;

/** With no workers the work is done in this thread. */
export function openLayPool(workers: number): LayPool {
  const atOnce = Math.max(1, workers);
  const threads: { worker: Worker; busy: number }[] = [];
  const waiting = new Map<number, { resolve(answer: LayAnswer): void; reject(error: Error): void }>();
  const queue: (() => void)[] = [];
  let underWay = 0;
  let numbers = 0;
  let broken: Error | undefined;
  const fail = (error: Error): void => {
    broken ??= workerFailed({ why: error.message }, error);
    for (const { reject } of waiting.values()) reject(broken);
    waiting.clear();
    for (const go of queue.splice(0)) go();
  };
  const leave = (): void => {
    underWay -= 1;
    queue.shift()?.();
  };
  for (let k = 0; k < workers; k++) {
    const worker = new Worker(new URL('./lay-worker.ts', import.meta.url));
    const thread = { worker, busy: 0 };
    worker.on('message', (answer: LayAnswer) => {
      thread.busy -= 1;
      const waiter = waiting.get(answer.number);
      waiting.delete(answer.number);
      waiter?.resolve(answer);
    });
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('it ended')));
    threads.push(thread);
  }
  return {
    stages: openStages({ read: atOnce * ordersPerWorker, work: atOnce, write: atOnce }),
    async room() {
      while (underWay >= atOnce * ordersPerWorker && broken === undefined) await new Promise<void>((resolve) => queue.push(resolve));
      if (broken !== undefined) throw broken;
      underWay += 1;
    },
    leave,
    async run(order) {
      try {
        if (workers === 0) return obeyLayOrder({ number: 0, ...order });
        return await new Promise<LayAnswer>((resolve, reject) => {
          if (broken !== undefined) return reject(broken);
          const number = ++numbers;
          waiting.set(number, { resolve, reject });
          const thread = threads.reduce((least, other) => (other.busy < least.busy ? other : least));
          thread.busy += 1;
          thread.worker.postMessage({ number, ...order } satisfies LayOrder, order.runs.map((run) => run.buffer as ArrayBuffer));
        });
      } finally {
        leave();
      }
    },
    async close() {
      for (const { worker } of threads) worker.removeAllListeners('exit');
      fail(new Error('it was closed'));
      await Promise.all(threads.map(async ({ worker }) => await endWorker(worker)));
    },
  };
}
