/**
 * Repair: heals what is damaged in an archive from another archive of the same set, whatever its key.
 *
 *   1. look          everything is read; damaged packs are distrusted, so that nothing new is built on them
 *   2. chunks        those that are nowhere whole: found in the other archive by the id that their frames have here
 *   3. manifests     made anew from the copy that names them, or from what they are the copy of
 *   4. oplog         starts, barriers and slices of the same chain (repair-oplog.ts)
 *   5. look again    2 to 4 once more while that brings anything: a map that is healed may name chunks that are lost
 *   6. what is of no use any more is removed: segments that the packs make again, records that prove nothing
 *
 * Nothing is mended in place but what has no other place: a healed chunk is a second place of the same chunk. Killed at any
 * step, what was healed is whole, and the next repair finds less to do.
 */
import { isFailure } from '../base/failure.ts';
import type { Archive } from './archive.ts';
import type { ArchiveWriter } from './archive-writer.ts';
import { inspectArchive, type CheckReport, type Inspection } from './check.ts';
import { openChunkIndex } from './chunk-index.ts';
import { chunkIdOf, frameBytes, frameCount, frameLength, hashesOf, hashFrame, holeId, type ChunkHeader, type ChunkId } from './chunk.ts';
import { copyPoint, openPlain } from './copy-point.ts';
import type { Damage } from './damage.ts';
import { decodeList, listLength } from './file-map.ts';
import { lastPart } from './object-names.ts';
import type { PlainFrames } from './plain-frames.ts';
import type { StoredFile } from './points.ts';
import { repairOplog } from './repair-oplog.ts';

export type RepairOptions = { readonly workers: number; readonly signal?: AbortSignal; readonly onStep?: (step: string) => void; /** Called very often: a repair that goes on is never silent. */ readonly onProgress?: (bytes: RepairProgress) => void };

/** `read` by the looks, in all. */
export type RepairProgress = { readonly read: number; readonly stored: number };

/** The other archive, and the repository it is in. */
export type RepairSource = { readonly archive: Archive; readonly repository: string; readonly name: string };

export type RepairedObject = Damage & { healed: boolean; by: string };
export type RepairReport = { ok: boolean; objects: RepairedObject[]; wholeAgain: string[]; stillHurt: string[]; hurtOplog: CheckReport['hurtOplog']; storedBytes: number };

type Run = { readonly archive: Archive; readonly from: RepairSource | undefined; readonly options: RepairOptions; readonly by: Map<string, string>; stored: number; read: number };

const mostRounds = 8;

export async function repairArchive(archive: Archive, from: RepairSource | undefined, options: RepairOptions): Promise<RepairReport> {
  const { parts } = archive;
  const run: Run = { archive, from, options, by: new Map(), stored: 0, read: 0 };
  const look = async (known?: Inspection): Promise<Inspection> => {
    const before = run.read;
    const onProgress = (bytes: number): void => {
      run.read = before + bytes;
      goesOn(run);
    };
    return await inspectArchive(parts, { readDataPercent: 100, workers: options.workers, signal: options.signal, onProgress }, known?.packs);
  };
  options.onStep?.('read and prove everything');
  const first = await look();
  const isOplogHurt = ({ report }: Inspection): boolean => report.hurtOplog.length > 0 || report.damage.some(({ object }) => isOfOplog(archive, object));
  let last = first;
  for (let round = 0; from !== undefined && round < mostRounds && (!isWhole(last) || isOplogHurt(last)); round++) {
    const before = run.by.size;
    await healChunks(run, from, last.lost);
    await healManifests(run, from);
    if (isOplogHurt(last)) await repairOplog(parts, from.archive.parts, last.report, (object) => run.by.set(object, `copied again from ${from.name}`), () => goesOn(run));
    if (run.by.size === before) break;
    options.onStep?.('look again');
    last = await look(first);
  }
  await removeUseless(run, last.report.damage);
  if (!isWhole(last) || last.report.damage.length > 0) last = await look(first);
  return await reportOf(run, first, last);
}

function goesOn({ options, read, stored }: Run): void {
  options.signal?.throwIfAborted();
  options.onProgress?.({ read, stored });
}

function isWhole({ report }: Inspection): boolean {
  return report.hurtPoints.length === 0 && report.hurtOplog.length === 0;
}

function isOfOplog({ parts: { names } }: Archive, object: string): boolean {
  return object.startsWith(names.oplog) || object.startsWith(names.chains);
}

/** Goes through all the other archive has, with the headers of its chunks alone, until every lost chunk is found. */
async function healChunks(run: Run, from: RepairSource, lost: ReadonlySet<ChunkId>): Promise<void> {
  if (lost.size === 0) return;
  run.options.onStep?.(`look for ${lost.size} lost chunks in ${from.name}`);
  const plain = await openPlain(from.archive.parts);
  const wanted = new Set(lost);
  const writer = await run.archive.openWriter({ level: 'balanced', workers: run.options.workers });
  try {
    const seen = new Set<ChunkId>();
    for (const point of await from.archive.points()) {
      for (const file of point.files) {
        for (const at of file.map.keys()) {
          if (wanted.size === 0) break;
          goesOn(run);
          if (seen.has(file.map[at]!)) continue;
          seen.add(file.map[at]!);
          await healList({ run, from, writer, plain, wanted }, file, at).catch(passBy);
        }
      }
    }
    await writer.flush();
    run.stored += writer.counts.stored;
  } finally {
    await writer.close();
  }
}

type Healing = { readonly run: Run; readonly from: RepairSource; readonly writer: ArchiveWriter; readonly plain: PlainFrames; readonly wanted: Set<ChunkId> };

/** The chunks that a list of a map names, and the list itself as it is here. */
async function healList(healing: Healing, file: StoredFile, at: number): Promise<void> {
  const { run, plain, wanted } = healing;
  const { keys } = run.archive.parts;
  const ids: ChunkId[] = [];
  for (const other of decodeList(await plain.readChunk(file.map[at]!, listLength(file.bytes, at)))) {
    if (other === holeId) {
      ids.push(holeId);
      continue;
    }
    goesOn(run);
    const { header } = await plain.locate(other);
    const id = chunkIdOf(keys.chunkId, header.bytes, hashesOf(header));
    ids.push(id);
    if (wanted.has(id)) await healChunk(healing, id, other, header).catch(passBy);
  }
  const list = Buffer.from(ids.join(''), 'hex');
  const frames = framesOf(list);
  const hashes = Buffer.concat(frames.map(hashFrame));
  const id = chunkIdOf(keys.chunkId, list.length, hashes);
  if (wanted.has(id)) await store(healing, id, list.length, hashes, frames);
}

async function healChunk(healing: Healing, id: ChunkId, other: ChunkId, { bytes, frames }: ChunkHeader): Promise<void> {
  // Read before anything is begun: a chunk that is damaged there too ends nothing.
  const plain = await healing.plain.readFrames(other, frames.map((_, at) => at));
  await store(healing, id, bytes, Buffer.concat(frames.map(({ hash }) => hash)), plain);
}

async function store({ run, from, writer, wanted }: Healing, id: ChunkId, bytes: number, hashes: Buffer, frames: readonly (Buffer | undefined)[]): Promise<void> {
  await writer.storeCopied({ bytes, hashes, read: async () => await Promise.resolve(frames) }, undefined);
  wanted.delete(id);
  run.by.set(id, `copied again from ${from.name}`);
}

function framesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: frameCount(bytes.length) }, (_, at) => bytes.subarray(at * frameBytes, at * frameBytes + frameLength(bytes.length, at)));
}

/** What is damaged in the other archive as well cannot be had from it. */
function passBy(error: unknown): void {
  if (!isFailure(error) || !/^repository\.(pack-|chunk-|frame-|object-)/.test(error.code)) throw error;
}

async function healManifests(run: Run, from: RepairSource): Promise<void> {
  const { hurt } = await run.archive.survey();
  if (hurt.length === 0) return;
  const others = await from.archive.points();
  for (const { point, object } of hurt) {
    const copy = others.find(({ copiedFrom }) => copiedFrom?.point === point);
    const original = others.find(({ id }) => point.startsWith(`${id}-`));
    const found = copy ?? original;
    if (found === undefined) continue;
    run.options.onStep?.(`make restore point ${point} anew`);
    const copiedFrom = copy === undefined ? { repository: from.repository, repositoryName: from.name, point: found.id } : undefined;
    const as = { id: point, replaces: true, ...(copiedFrom !== undefined && { copiedFrom }) };
    await copyPoint({ source: from.archive, target: run.archive, level: 'balanced', workers: run.options.workers, signal: run.options.signal, onProgress: () => goesOn(run) }, found, as)
      .then(({ bytes }) => {
        run.stored += bytes.stored;
        run.by.set(object, `made anew from ${found.id} in ${from.name}`);
      })
      .catch(passBy);
  }
}

/** A segment goes only when its packs are in another one: the writer takes up packs that no segment knows. */
async function removeUseless(run: Run, damage: readonly Damage[]): Promise<void> {
  const { storage, names } = run.archive.parts;
  const under = (prefix: string): string[] => [...new Set(damage.flatMap(({ object }) => (object.startsWith(prefix) && object !== prefix ? [object] : [])))];
  const segments = under(names.index);
  if (segments.length > 0) {
    const writer = await run.archive.openWriter({ level: 'balanced', workers: 0 });
    await writer.flush().finally(async () => await writer.close());
  }
  const proofs = under(names.proofs('').slice(0, -1));
  for (const [objects, by] of [[segments, 'made again from the packs'], [proofs, 'removed: it proved nothing; "tidemark point verify" proves the point again'], [under(names.distrustedAll), 'written anew by this check']] as const) {
    for (const object of objects) {
      await storage.delete(object);
      run.by.set(object, by);
    }
  }
}

async function reportOf(run: Run, first: Inspection, last: Inspection): Promise<RepairReport> {
  const { parts } = run.archive;
  const without = run.from === undefined ? 'no other repository was named' : `${run.from.name} does not have it whole`;
  const unhealed = `${without}; the next backup reads it again from the database, if it is still in its files`;
  const hurtPacks = await packsOf(run.archive, last.lost);
  const still = new Set(last.report.damage.map(({ object }) => object));
  const chunks = [...first.lost].map((id) => ({ object: `chunk ${id}`, what: 'it was nowhere whole', healed: !last.lost.has(id), by: last.lost.has(id) ? unhealed : (run.by.get(id) ?? 'another place of it') }));
  const objects = new Map<string, RepairedObject>();
  for (const { object, what } of [...first.report.damage, ...last.report.damage]) {
    if (object === parts.names.packs || objects.has(object)) continue;
    const isPack = object.startsWith(parts.names.packs);
    const healed = isPack ? !hurtPacks.has(lastPart(object)) : !still.has(object);
    const by = healed ? (isPack ? 'nothing needs it any more: what points need of it has another place, and a sweep removes it' : (run.by.get(object) ?? 'it is whole now')) : isPack ? unhealed : without;
    objects.set(object, { object, what, healed, by });
  }
  const stillHurt = last.report.hurtPoints;
  const all = [...objects.values(), ...chunks, ...[...last.lost].filter((id) => !first.lost.has(id)).map((id) => ({ object: `chunk ${id}`, what: 'it is nowhere whole', healed: false, by: unhealed }))];
  return {
    ok: isWhole(last) && all.every(({ healed }) => healed),
    objects: all,
    wholeAgain: first.report.hurtPoints.filter((id) => !stillHurt.includes(id)),
    stillHurt,
    hurtOplog: last.report.hurtOplog,
    storedBytes: run.stored,
  };
}

/** Where chunks stand, whole or not. */
async function packsOf({ parts }: Archive, chunks: ReadonlySet<ChunkId>): Promise<Set<string>> {
  const packs = new Set<string>();
  if (chunks.size === 0) return packs;
  const index = await openChunkIndex(parts.storage, parts.keys, parts.names, parts.packs);
  for (const id of chunks) for await (const { pack } of index.candidates(id)) packs.add(pack);
  return packs;
}
