/** The guardian of a lock (mongo/copy/guardian.ts). Its order, secrets included, comes over the IPC pipe; the pipe's end is its parent's. */
import { systemClock } from '../base/clock.ts';
import { guard, type GuardianAnswer, type GuardianOrder } from '../mongo/copy/guardian.ts';

const say = (answer: GuardianAnswer): void => {
  if (process.connected) process.send?.(answer, undefined, {}, () => {});
};

const { promise: released, resolve: release } = Promise.withResolvers<'ordered' | 'parent-gone'>();
let atWork = false;

const end = (): void => {
  release('parent-gone');
  if (!atWork) process.exit(0);
};
process.on('disconnect', end);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
process.on('message', (order: GuardianOrder) => {
  if (order.kind === 'unlock') return release('ordered');
  atWork = true;
  void guard(order, { released, say, clock: systemClock }).finally(() => process.exit(0));
});
