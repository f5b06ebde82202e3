/**
 * The way that works on any file system when what must be read fits between two checkpoints: live files, and the turtle
 * before and after (turtle.ts). Primaries too; nothing is asked of mongod.
 *
 *   estimating ─ too much at once ─→ pre-copy ─→ estimating
 *       ├─ does not fit an interval ─→ missed
 *       └─ fits ─→ (waits for a checkpoint's end, if too little of this interval is left) ─→ reading
 *   reading ─ turtle as before ─→ taken
 *       └─ turtle changed ─→ reading again, if the rest clearly fits, else missed
 *
 * Where checkpoints are rare by configuration (syncPeriodSecs), one `fsync` makes the checkpoint that is waited for.
 */
import { isFailure } from '../../base/failure.ts';
import { deadlinePassed } from '../../base/failures.ts';
import { listFiles } from './files.ts';
import { plainFsync } from './lock.ts';
import { isStill, nextTurtle, readTurtle, settle } from './turtle.ts';
import type { Errand, Missed, Taken } from './way.ts';

const TRIES = 3;
/** Above this, waiting for a checkpoint is slower than making one; and one as old as this is no good base for a point. */
const RARE_SECONDS = 120;
const OLD_MS = 60_000;

export async function takeWindow(errand: Errand, windowMs: number): Promise<Taken | Missed> {
  const { client, member, data, ledger, log, signal } = errand;
  for (let tried = 1; ; tried++) {
    signal.throwIfAborted();
    const needMs = await estimate(errand, windowMs, tried);
    const most = tried === 1 ? 0.8 : 0.5;
    if (needMs > windowMs * most) return { kind: 'missed', why: `reading ${tried === 1 ? 'the files' : 'again'} takes about ${seconds(needMs)} of the ${seconds(windowMs)} between two checkpoints` };
    const waited = await waitForRoom(errand, windowMs, needMs);
    if (waited !== undefined) return waited;
    const at = await settle(client, data.dbPath, member.name, errand);
    if (at === undefined) return { kind: 'missed', why: 'checkpoints follow each other without a pause' };
    const files = await ledger.storeLive(await listFiles(data, { underLock: false }), 'final', signal);
    if (await isStill(at, client, data.dbPath, errand)) {
      return { kind: 'taken', checkpoint: at.checkpoint, top: null, topAtLeast: at.durable, lockedMs: 0, files, clone: null };
    }
    log.info('a checkpoint ended while the files were read', { tried });
    if (tried === TRIES) return { kind: 'missed', why: `a checkpoint ended while the files were read, ${TRIES} times` };
  }
}

/** Milliseconds that the final reading will take. A first pass reads what does not fit; its bytes stay stored. */
async function estimate({ data, ledger, signal }: Errand, windowMs: number, tried: number): Promise<number> {
  const files = await listFiles(data, { underLock: false });
  const needMs = (ledger.unknownBytes(files) / ledger.rate()) * 1000;
  if (tried > 1 || needMs <= windowMs * 0.5) return needMs;
  await ledger.storeLive(files, 'pre', signal);
  return (ledger.unknownBytes(await listFiles(data, { underLock: false })) / ledger.rate()) * 1000;
}

async function waitForRoom(errand: Errand, windowMs: number, needMs: number): Promise<Missed | undefined> {
  const { data, clock, member, signal } = errand;
  const turtle = await readTurtle(data.dbPath);
  const ageMs = clock.now() - turtle.mtimeMs;
  const rare = member.checkpointSeconds === 0 || member.checkpointSeconds > RARE_SECONDS;
  if (rare && ageMs > OLD_MS) {
    await plainFsync(errand);
    return undefined;
  }
  if ((windowMs - ageMs) * 0.7 > needMs + 1000) return undefined;
  const ms = 2 * member.checkpointSeconds * 1000 + 60_000;
  try {
    await nextTurtle(data.dbPath, turtle, { ms, clock, signal });
    return undefined;
  } catch (error) {
    if (isFailure(error, deadlinePassed)) return { kind: 'missed', why: `no checkpoint ended within ${seconds(ms)}` };
    throw error;
  }
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
