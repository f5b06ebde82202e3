/**
 * The warden: locks files of hardened repositories for whoever writes there, and lifts the locks when their time is over, by
 * a time of its own (kept-time.ts). It hears `retain`, `until` and `look` on a local socket; nobody can ask it to lift.
 *
 * Its round, once a minute: time goes on and is written down; what is over is lifted. Once an hour, and at its start, also: what a kill left
 * unlocked is locked. A place that cannot be served, and a name in it, hold up no other. They are told in the journal and in `alarms`, a file
 * that the transport reads for its server (warden-line.ts).
 */
import { createServer, type Server, type Socket } from 'node:net';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sentenceOf, toWire } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import { writeWhole } from '../../base/whole-file.ts';
import { lockNotKept } from '../../repository/failures.ts';
import { dayMs, mostDays } from '../../repository/immutable.ts';
import { lineMost, type WardenAlarm, type WardenAlarms, type WardenAnswer, type WardenAsk } from '../../repository/storage/warden-line.ts';
import type { PlaceFinding } from '../../repository/storage/storage.ts';
import { confirm, passTo, rehearse, type Alarm, type KeptTime, type Readings } from './kept-time.ts';
import { openKeptPlace, requireFlag, type AdoptedPlace, type KeptPlace } from './kept-place.ts';
import { sentenceOfAmiss } from './place-sight.ts';

export type WardenOptions = {
  /** Root's alone. */
  readonly state: string;
  /** Where its alarms are to be read by others on this host. */
  readonly alarmsFile?: string;
  readonly readings: () => Readings;
  readonly log: Log;
};

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
/** Of a clock that was turned; what is amiss in a place stands until it is mended. */
const alarmsShownMs = 7 * dayMs;
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

type Stored = KeptTime & { readonly alarms?: Alarm[]; readonly amiss?: WardenAlarm[] };

export async function openWarden({ state, alarmsFile, readings, log }: WardenOptions): Promise<Warden> {
  const places = new Map<string, KeptPlace>();
  const before = await readJson<Stored>(join(state, timeFile));
  let stored: KeptTime | undefined = before === undefined ? undefined : { keptMs: before.keptMs, at: before.at };
  let alarms: Alarm[] = before?.alarms ?? [];
  /** By place: what is wrong with it, and since when. */
  const amiss = new Map((before?.amiss ?? []).map((alarm) => [alarm.place!, alarm]));

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
    await writeDown();
    await rm(join(state, confirmedFile), { force: true });
  };
  const writeDown = async (): Promise<void> => {
    await writeWhole(join(state, timeFile), `${JSON.stringify({ ...stored!, alarms, amiss: [...amiss.values()] } satisfies Stored)}\n`, 0o600);
    if (alarmsFile === undefined) return;
    const { wallMs, bootMs } = stored!.at;
    const turned = alarms.filter(({ atMs }) => Math.abs(wallMs - atMs) < alarmsShownMs).map((alarm): WardenAlarm => ({ ...alarm, place: null }));
    await writeWhole(alarmsFile, `${JSON.stringify({ bootMs, wallMs, alarms: [...turned, ...amiss.values()] } satisfies WardenAlarms)}\n`, 0o644);
  };
  /** True when it was not known. */
  const tell = (place: string, says: string | undefined): boolean => {
    if (amiss.get(place)?.says === says) return false;
    if (says === undefined) {
      amiss.delete(place);
      log.info('a place is in order again', { place });
      return true;
    }
    log.error('alarm', { place, why: says });
    amiss.set(place, { atMs: stored!.at.wallMs, place, says });
    return true;
  };

  const look = async (path: string): Promise<PlaceFinding[]> => {
    await placeAt(path);
    requireFlag(path);
    now();
    const turned = [tenYearsMs, -tenYearsMs].map((ms) => rehearse(stored!, ms));
    const isKept = turned.every(({ leftsLess, isNoticed }) => !leftsLess && isNoticed);
    const recent = alarms.at(-1);
    const wrong = amiss.get(path);
    return [
      { what: 'locks when the clock is turned', level: isKept ? 'good' : 'bad', says: isKept ? 'kept, and the turn is noticed' : 'a turned clock takes time off a lock' },
      ...(recent === undefined ? [] : [{ what: 'clock of the host', level: 'doubtful' as const, says: `${new Date(recent.atMs).toISOString()}: ${recent.says}` }]),
      ...(wrong === undefined ? [] : [{ what: 'names in it', level: 'doubtful' as const, says: wrong.says }]),
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
  const roundOf = async (path: string, whole: boolean): Promise<string | undefined> => {
    try {
      const place = await placeAt(path);
      const { lifted, locked } = await place.round(stored!.keptMs, whole);
      if (lifted + locked > 0) log.info('round', { place: path, lifted, locked });
      return sentenceOfAmiss(place.amiss());
    } catch (error) {
      return `its files are neither locked nor lifted: ${sentenceOf(error)}`;
    }
  };
  const round = async (whole: boolean): Promise<void> =>
    await inLine(async () => {
      const adopted = (await readPlaces(state)).map(({ path }) => path);
      // Before the time goes on for the first time: where it is gone, it goes on from their ledgers.
      for (const path of adopted) await placeAt(path).catch(() => {});
      await save();
      let isNews = false;
      for (const path of adopted) isNews = tell(path, await roundOf(path, whole)) || isNews;
      for (const path of [...amiss.keys()].filter((one) => !adopted.includes(one))) isNews = tell(path, undefined) || isNews;
      if (isNews) await writeDown();
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
