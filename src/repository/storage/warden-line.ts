/**
 * What the holder of a directory asks the warden of its host (docs/design/immutable.md): a line of JSON each way, a connection
 * for each question. There is no word for lifting.
 *
 * The warden's alarms are in a file beside its socket, which it writes once a minute: to ask for them would start a warden on every host.
 */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { withDeadline } from '../../base/deadline.ts';
import { fromWire, isFailure, type WireFailure } from '../../base/failure.ts';
import { wardenNotReached } from '../failures.ts';
import type { PlaceFinding } from './storage.ts';

export const wardenSocket = '/run/tidemark-warden/warden.sock';
export const wardenAlarmsFile = '/run/tidemark-warden/alarms.json';

/** `place` null: of the host, its clock. One that is told again has the same moment and the same words. */
export type WardenAlarm = { readonly atMs: number; readonly place: string | null; readonly says: string };
/** `bootMs`, `wallMs`: when they were written, since the host's boot and by its clock. */
export type WardenAlarms = { readonly bootMs: number; readonly wallMs: number; readonly alarms: readonly WardenAlarm[] };

/** Rounds that take long, of a million files, included. */
const silentMs = 15 * 60_000;

/** What stands now, so long after the boot; none where no warden has worked since it. */
export async function readWardenAlarms(bootMs: number, path = wardenAlarmsFile): Promise<readonly WardenAlarm[]> {
  let written: WardenAlarms;
  try {
    written = JSON.parse(await readFile(path, 'utf8')) as WardenAlarms;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  if (bootMs - written.bootMs < silentMs) return written.alarms;
  const silent = 'the warden does nothing any more: what is stored is not locked and not acknowledged, and no lock is lifted; see its journal';
  return [...written.alarms, { atMs: written.wallMs, place: null, says: silent }];
}

export type WardenAsk =
  /** What is retained for `leastMs` yet stays as it is; everything else is retained for `forMs` from now, by the warden's time. */
  | { readonly ask: 'retain'; readonly place: string; readonly names: readonly string[]; readonly leastMs: number; readonly forMs: number }
  | { readonly ask: 'until'; readonly place: string; readonly names: readonly string[] }
  /** Whether the place is in its care and its file system keeps locks, and what has become of the clocks. */
  | { readonly ask: 'look'; readonly place: string };

/** `leftMs`: how long each is retained yet; null: it is not. */
export type WardenAnswer = { readonly leftMs: (number | null)[]; readonly findings: PlaceFinding[] };

/** Locking a hundred thousand files takes seconds. */
const answerMs = 120_000;
export const lineMost = 64 << 20;

export async function askWarden(socket: string, ask: WardenAsk): Promise<WardenAnswer> {
  const { place } = ask;
  try {
    const line = await withDeadline('an answer of the warden', answerMs, async (signal) => await exchange(socket, `${JSON.stringify(ask)}\n`, signal));
    const answer = JSON.parse(line) as Partial<WardenAnswer> & { failure?: WireFailure };
    if (answer.failure !== undefined) throw fromWire(answer.failure);
    return { leftMs: answer.leftMs ?? [], findings: answer.findings ?? [] };
  } catch (error) {
    if (isFailure(error) && error.code.startsWith('repository.')) throw error;
    throw wardenNotReached({ place, why: error instanceof Error ? error.message : String(error) }, error);
  }
}

async function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  const socket = connect(path);
  const end = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', end, { once: true });
  try {
    socket.end(line);
    const pieces: Buffer[] = [];
    for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  } finally {
    signal.removeEventListener('abort', end);
    socket.destroy();
  }
}
