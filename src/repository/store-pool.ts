import { Worker } from 'node:worker_threads';
import { chunkBytes, framesPerChunk } from './chunk.ts';
import { sourceUnreadable, workerFailed } from './failures.ts';
import { sealedFrameBytes, type Level } from './frame-codec.ts';
import { openStoreWork, type RegionToHash, type SealedPart, type StoreAnswer, type StoreOrder, type StoreWorkerData } from './store-work.ts';
import { openStages, type Stages } from './stages.ts';
import { endWorker } from './worker-end.ts';

/** Chunks on their way at once in each worker: one at work, the others waiting for an answer of the index or the disk. */
const slotsPerWorker = 4;

export type SealedChunk = { readonly offset: number; readonly parts: readonly SealedPart[]; readonly bytes: Buffer };

/** Room for one chunk, lent by a worker. */
export type StoreSlot = {
  /** Which worker: its frames go to that worker's pack. */
  readonly worker: number;
  /** The chunk's plain bytes; only the owner of the slot touches them. */
  readonly plain: Buffer;
  hash(region: RegionToHash & { readonly path: string }): Promise<{ hashes: Buffer; read: number }>;
  startPack(key: Uint8Array): void;
  /** `bytes` of the answer are the slot's own memory: use them before `release`. */
  seal(bytes: number, wanted: number): Promise<SealedChunk>;
  release(): void;
};

export type StorePool = {
  readonly workers: number;
  readonly stages: Stages;
  acquire(): Promise<StoreSlot>;
  close(): Promise<void>;
};

/** Where orders go: a thread, or this one. */
type Hand = { post(order: StoreOrder): void };

type Waiting = { resolve(answer: StoreAnswer): void; reject(error: Error): void };

/** With no workers the work is done in this thread, between other things: for a few chunks, and for tests. */
export function openStorePool(workers: number, level: Level): StorePool {
  const atOnce = Math.max(1, workers);
  const stages = openStages({ read: atOnce, work: atOnce, write: atOnce * slotsPerWorker });
  const threads: Worker[] = [];
  const free: StoreSlot[] = [];
  const queue: { resolve(slot: StoreSlot): void; reject(error: Error): void }[] = [];
  const waiting = new Map<string, Waiting>();
  let broken: Error | undefined;

  const fail = (error: Error): void => {
    broken ??= workerFailed({ why: error.message }, error);
    for (const { reject } of [...waiting.values(), ...queue]) reject(broken);
    waiting.clear();
    queue.length = 0;
  };

  const release = (slot: StoreSlot): void => {
    const next = queue.shift();
    if (next === undefined) free.push(slot);
    else next.resolve(slot);
  };

  const makeSlot = (worker: number, hand: Hand, slot: number, data: StoreWorkerData): StoreSlot => {
    const sealedMemory = Buffer.from(data.sealed[slot]!);
    const ask = async (order: StoreOrder): Promise<StoreAnswer> =>
      await new Promise((resolve, reject) => {
        if (broken !== undefined) return reject(broken);
        waiting.set(`${worker}/${slot}`, { resolve, reject });
        hand.post(order);
      });
    const own: StoreSlot = {
      worker,
      plain: Buffer.from(data.plain[slot]!),
      async hash({ path, fd, from, bytes, wanted, free }) {
        const answer = await ask({ kind: 'hash', slot, fd, from, bytes, wanted, free });
        if (answer.kind !== 'hashed') throw sourceUnreadable({ path, why: answer.kind === 'failed' ? answer.why : answer.kind });
        stages.spend('read', answer.readMs);
        stages.spend('work', answer.workMs);
        return { hashes: Buffer.from(answer.hashes.buffer), read: answer.read };
      },
      startPack: (key) => hand.post({ kind: 'pack', key }),
      async seal(bytes, wanted) {
        const answer = await ask({ kind: 'seal', slot, bytes, wanted });
        if (answer.kind !== 'sealed') throw workerFailed({ why: answer.kind === 'failed' ? answer.why : answer.kind });
        stages.spend('work', answer.workMs);
        const total = answer.parts.reduce((sum, part) => sum + part.bytes, 0);
        return { offset: answer.offset, parts: answer.parts, bytes: sealedMemory.subarray(0, total) };
      },
      release: () => release(own),
    };
    return own;
  };

  const start = (worker: number): void => {
    const memory = (bytes: number): SharedArrayBuffer[] => Array.from({ length: slotsPerWorker }, () => new SharedArrayBuffer(bytes));
    const data: StoreWorkerData = { level, plain: memory(chunkBytes), sealed: memory(framesPerChunk * sealedFrameBytes) };
    const heard = (answer: StoreAnswer): void => {
      const key = `${worker}/${answer.slot}`;
      const waiter = waiting.get(key);
      waiting.delete(key);
      waiter?.resolve(answer);
    };
    const hand = workers === 0 ? here(data, heard) : thread(data, heard);
    for (let slot = 0; slot < slotsPerWorker; slot++) free.push(makeSlot(worker, hand, slot, data));
  };
  const thread = (data: StoreWorkerData, heard: (answer: StoreAnswer) => void): Hand => {
    const worker = new Worker(new URL('./store-worker.ts', import.meta.url), { workerData: data });
    worker.on('message', heard);
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('it ended')));
    threads.push(worker);
    return { post: (order) => worker.postMessage(order) };
  };
  for (let worker = 0; worker < atOnce; worker++) start(worker);

  return {
    workers,
    stages,
    async acquire() {
      if (broken !== undefined) throw broken;
      const slot = takeLeastBusy(free);
      return slot ?? (await new Promise((resolve, reject) => queue.push({ resolve, reject })));
    },
    async close() {
      for (const thread of threads) thread.removeAllListeners('exit');
      fail(new Error('it was closed'));
      await Promise.all(threads.map(endWorker));
    },
  };
}

/** A slot of the worker that has most of them free. */
function takeLeastBusy(free: StoreSlot[]): StoreSlot | undefined {
  const count = new Map<number, number>();
  for (const { worker } of free) count.set(worker, (count.get(worker) ?? 0) + 1);
  let best = -1;
  for (const [index, { worker }] of free.entries()) {
    if (best < 0 || count.get(worker)! > count.get(free[best]!.worker)!) best = index;
  }
  return best < 0 ? undefined : free.splice(best, 1)[0];
}

function here(data: StoreWorkerData, heard: (answer: StoreAnswer) => void): Hand {
  const obey = openStoreWork(data);
  return {
    post: (order) =>
      void setImmediate(() => {
        const answer = obey(order);
        if (answer !== undefined) heard(answer);
      }),
  };
}
