/**
 * The warden: locks files of hardened repositories for whoever writes there, and lifts the locks when their time is over, by
 * a time of its own (kept-time.ts). It hears `retain`, `until` and `look` on a local socket; nobody can ask it to lift.
 *
 * Its round, once a minute: time goes on and is written down; what is over is lifted. Once an hour, and at its start, also: what a kill left
 * unlocked is locked.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toWire } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import { writeWhole } from '../../base/whole-file.ts';
import { lockNotKept } from '../../repository/failures.ts';
import { dayMs, mostDays } from '../../repository/immutable.ts';
import { lineMost, type WardenAnswer, type WardenAsk } from '../../repository/storage/warden-line.ts';
import type { PlaceFinding } from '../../repository/storage/storage.ts';
import { confirm, passTo, rehearse, type Alarm, type KeptTime, type Readings } from './kept-time.ts';
import { openKeptPlace, requireFlag, type AdoptedPlace, type KeptPlace } from './kept-place.ts';

export type WardenOptions = { /** Root's alone. */ readonly state: string; readonly readings: () => Readings; readonly log: Log };

export type Warden = {
  answer(ask: WardenAsk): Promise<WardenAnswer>;
  /** `whole`: also looks for what a kill left. */
  round(whole: boolean): Promise<void>;
  serve(on: { path: string } | { fd: number }): Promise<Server>;
  close(): Promise<void>;
};

const timeFile = 'time.json';
const placesFile = 'places.json';
const confirmedFile = 'confirmed.json';
const tenYearsMs = 3650 * 86_400_000;
const alarmsKept = 5;
const longestMs = 2 * mostDays * dayMs;

export async function readPlaces(state: string): Promise<AdoptedPlace[]> {
  return (await readJson<AdoptedPlace[]>(join(state, placesFile))) ?? [];
}

export async function writePlaces(state: string, places: readonly AdoptedPlace[]): Promise<void> {
  await writeWhole(join(state, placesFile), `${JSON.stringify(places)}\n`, 0o600);
}

/** An operator at the machine says that its clock is right. Heard at the warden's next round. */
export async function confirmClock(state: string, wallMs: number): Promise<void> {
  await writeWhole(join(state, confirmedFile), `${JSON.stringify({ wallMs })}\n`, 0o600);
}

export async function openWarden({ state, readings, log }: WardenOptions): Promise<Warden> {
  const places = new Map<string, KeptPlace>();
  let stored = await readJson<KeptTime & { alarms?: Alarm[] }>(join(state, timeFile));
  let alarms: Alarm[] = stored?.alarms ?? [];

  const placeAt = async (path: string): Promise<KeptPlace> => {
    const known = places.get(path);
    if (known !== undefined) return known;
    const adopted = (await readPlaces(state)).find((one) => one.path === path);
    if (adopted === undefined) throw lockNotKept({ place: path, what: 'it is not in the care of a warden; run "tidemark-warden adopt" there as root' });
    const opened = await openKeptPlace(adopted);
    places.set(path, opened);
    return opened;
  };
  const now = (): number => {
    const floorMs = Math.max(0, ...[...places.values()].map(({ seenMs }) => seenMs));
    const { time, alarm } = passTo(stored, readings(), floorMs);
    stored = time;
    if (alarm !== undefined) {
      log.error('alarm', { why: alarm.says });
      alarms = [...alarms, alarm].slice(-alarmsKept);
    }
    return time.keptMs;
  };
  const save = async (): Promise<void> => {
    now();
    const confirmed = await readJson<{ wallMs: number }>(join(state, confirmedFile));
    if (confirmed !== undefined) {
      stored = confirm(stored!, confirmed.wallMs);
      log.warn('an operator confirmed the clock', { time: new Date(stored.keptMs).toISOString() });
    }
    await writeWhole(join(state, timeFile), `${JSON.stringify({ ...stored, alarms })}\n`, 0o600);
    await rm(join(state, confirmedFile), { force: true });
  };

  const look = async (path: string): Promise<PlaceFinding[]> => {
    await placeAt(path);
    requireFlag(path);
    now();
    const turned = [tenYearsMs, -tenYearsMs].map((ms) => rehearse(stored!, ms));
    const isKept = turned.every(({ leftsLess, isNoticed }) => !leftsLess && isNoticed);
    const recent = alarms.at(-1);
    return [
      { what: 'locks when the clock is turned', level: isKept ? 'good' : 'bad', says: isKept ? 'kept, and the turn is noticed' : 'a turned clock takes time off a lock' },
      ...(recent === undefined ? [] : [{ what: 'clock of the host', level: 'doubtful' as const, says: `${new Date(recent.atMs).toISOString()}: ${recent.says}` }]),
    ];
  };

  const perform = async (ask: WardenAsk): Promise<WardenAnswer> => {
    if (ask.ask === 'look') return { leftMs: [], findings: await look(ask.place) };
    const place = await placeAt(ask.place);
    const nowMs = now();
    const untils = ask.ask === 'until' ? place.until(ask.names, nowMs) : await place.retain(ask.names, { nowMs, leastMs: ask.leastMs, forMs: ask.forMs });
    return { leftMs: untils.map((untilMs) => (untilMs === null ? null : untilMs - nowMs)), findings: [] };
  };

  // One question after the other: a ledger has one writer.
  let tail: Promise<unknown> = Promise.resolve();
  const inLine = async <T>(work: () => Promise<T>): Promise<T> => {
    const mine = tail.then(work);
    tail = mine.catch(() => {});
    return await mine;
  };
  const answer = async (ask: WardenAsk): Promise<WardenAnswer> => await inLine(async () => await perform(ask));
  const round = async (whole: boolean): Promise<void> =>
    await inLine(async () => {
      for (const { path } of await readPlaces(state)) await placeAt(path).catch((error: unknown) => log.error('a place is not there', { place: path, why: String(error) }));
      await save();
      for (const place of places.values()) {
        const { lifted, locked } = await place.round(stored!.keptMs, whole);
        if (lifted + locked > 0) log.info('round', { place: place.path, lifted, locked });
      }
    });

  await round(true);
  return {
    answer,
    round,
    async serve(on) {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        void converse(socket, answer);
      });
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(on, resolve));
      return server;
    },
    close: async () =>
      await inLine(async () => {
        await save();
        for (const place of places.values()) await place.close();
      }),
  };
}

/** Reads the question to its end by hand: to go through a socket as a stream closes it at the end, for answers too. */
async function converse(socket: Socket, answer: Warden['answer']): Promise<void> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (piece) => {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > lineMost) socket.destroy();
  });
  await new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve));
  if (socket.destroyed) return;
  try {
    const ask: unknown = JSON.parse(Buffer.concat(pieces).toString());
    if (!isAsk(ask)) return void socket.destroy();
    socket.end(JSON.stringify(await answer(ask)));
  } catch (error) {
    socket.end(JSON.stringify({ failure: toWire(error) }));
  }
}

function isAsk(value: unknown): value is WardenAsk {
  if (typeof value !== 'object' || value === null) return false;
  const ask = value as Partial<Record<string, unknown>>;
  const isTime = (time: unknown): boolean => typeof time === 'number' && time >= 0 && time <= longestMs;
  const hasNames = Array.isArray(ask['names']) && ask['names'].every((one) => typeof one === 'string');
  if (typeof ask['place'] !== 'string') return false;
  if (ask['ask'] === 'retain') return hasNames && isTime(ask['leastMs']) && isTime(ask['forMs']);
  return ask['ask'] === 'look' || (ask['ask'] === 'until' && hasNames);
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
