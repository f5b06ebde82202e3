import { isFailure, type Failure } from '../base/failure.ts';
import { isOfPlace, type Damage } from './damage.ts';
import { frameBytes, frameLength, holeId, otherPacks, type ChunkId, type Frame } from './chunk.ts';
import type { ChunkIndex } from './chunk-index.ts';
import type { ChunkMarks } from './chunk-marks.ts';
import type { CheckRun } from './check.ts';
import type { PackFindings } from './check-packs.ts';
import { chunkCount, decodeList, listLength } from './file-map.ts';
import { packMissing, pointMissing } from './failures.ts';
import { openFrame } from './frame-codec.ts';
import { tagBytes } from './keys.ts';
import { plainFrames } from './plain-frames.ts';
import type { PointManifest, StoredFile } from './points.ts';
import type { Location } from './segment-reader.ts';

export type PointFindings = {
  readonly hurt: string[];
  /** Points that were deleted meanwhile. */
  readonly gone: ReadonlySet<string>;
  /** Chunks that are nowhere whole. */
  readonly lost: ReadonlySet<ChunkId>;
  /** Packs that were listed and are not there. */
  readonly missing: ReadonlySet<string>;
  readonly damage: readonly Damage[];
};

export async function checkPoints(shared: CheckRun, index: ChunkIndex, packs: PackFindings, ids: readonly string[], marks: ChunkMarks): Promise<PointFindings> {
  const run: CheckRun = { ...shared, damage: [] };
  const hurt: string[] = [];
  const gone = new Set<string>();
  const chunks = chunkCheck(run, index, packs, marks);
  for (const id of ids) {
    run.progress(0);
    const answer = await lookAtPoint(run, id, chunks);
    if (answer === 'hurt') hurt.push(id);
    if (answer === 'gone') gone.add(id);
  }
  return { hurt, gone, lost: chunks.lost, missing: chunks.missing, damage: run.damage };
}

export async function checkProofs(run: CheckRun, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    run.progress(0);
    run.damage.push(...(await run.parts.points.proofs(id)).damaged);
  }
}

type ChunkCheck = {
  isSound(id: ChunkId): Promise<boolean>;
  /** The chunks of a file, or undefined when its map cannot be read. */
  mapOf(file: StoredFile): Promise<ChunkId[] | undefined>;
  /** Chunks that are nowhere whole. */
  readonly lost: ReadonlySet<ChunkId>;
  readonly missing: ReadonlySet<string>;
  /** What was found of a map before. */
  readonly maps: Map<string, boolean>;
};

async function lookAtPoint(run: CheckRun, id: string, chunks: ChunkCheck): Promise<'sound' | 'hurt' | 'gone'> {
  let point: PointManifest;
  try {
    point = await run.parts.points.read(id);
  } catch (error) {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    if (error.code === pointMissing.code) return 'gone';
    run.damage.push({ object: run.parts.names.point(id), what: error.message });
    return 'hurt';
  }
  let isSound = true;
  for (const file of point.files) if (!(await isFileSound(file, chunks))) isSound = false;
  return isSound ? 'sound' : 'hurt';
}

async function isFileSound(file: StoredFile, chunks: ChunkCheck): Promise<boolean> {
  const key = `${file.bytes} ${file.map.join()}`;
  const known = chunks.maps.get(key);
  if (known !== undefined) return known;
  const ids = await chunks.mapOf(file);
  let isSound = ids !== undefined && ids.length === chunkCount(file.bytes);
  for (const id of ids ?? []) if (!(await chunks.isSound(id))) isSound = false;
  chunks.maps.set(key, isSound);
  return isSound;
}

function chunkCheck(run: CheckRun, index: ChunkIndex, packs: PackFindings, marks: ChunkMarks): ChunkCheck {
  const { parts } = run;
  const plain = plainFrames({ index, packs: parts.packs, keys: parts.keys }, 0);
  const lost = new Set<ChunkId>();
  const missing = new Set<string>();
  const requireFailure = (error: unknown): Failure => {
    if (!isFailure(error) || isOfPlace(error)) throw error;
    if (error.code === packMissing.code) missing.add(String(error.details['pack']));
    return error;
  };
  const room = Buffer.allocUnsafeSlow(frameBytes);

  /** A frame of a pack whose trailer says nothing is read and proved here, whatever share of the data is to be read. */
  const isFrameSound = async (id: ChunkId, frame: Frame, own: string, length: number): Promise<boolean> => {
    if (frame.how === 'hole') return true;
    const pack = frame.pack ?? own;
    const size = packs.sizes.get(pack);
    if (size === undefined || frame.offset + frame.bytes > size || packs.badFrames.get(pack)?.has(frame.offset) === true) return false;
    if (!packs.bad.has(pack)) return true;
    const sealed = await parts.packs.readFrames(pack, frame.offset, frame.bytes, id);
    run.progress(sealed.length);
    return openFrame({ how: frame.how, offset: frame.offset, sealed, hash: frame.hash }, parts.keys.pack(pack), room.subarray(0, length));
  };
  const isPlaceSound = async (id: ChunkId, place: Location): Promise<boolean> => {
    const size = packs.sizes.get(place.pack);
    if (size === undefined) return false;
    if (packs.badFrames.size === 0 && packs.bad.size === 0 && otherPacks(place.bytes - tagBytes) === 0) return place.offset + place.bytes <= size;
    try {
      const header = await parts.packs.readHeader(id, place);
      for (const [at, frame] of header.frames.entries()) if (!(await isFrameSound(id, frame, place.pack, frameLength(header.bytes, at)))) return false;
      return true;
    } catch (error) {
      requireFailure(error);
      return false;
    }
  };
  const isSound = async (id: ChunkId): Promise<boolean> => {
    if (id === holeId) return true;
    if (lost.has(id)) return false;
    for await (const place of index.candidates(id)) {
      if (marks.has(place.pack, place.offset)) return true;
      if (!(await isPlaceSound(id, place))) continue;
      marks.add(place.pack, place.offset);
      return true;
    }
    lost.add(id);
    run.damage.push({ object: parts.names.packs, what: `chunk ${id} is nowhere whole` });
    return false;
  };
  const mapOf = async (file: StoredFile): Promise<ChunkId[] | undefined> => {
    const ids: ChunkId[] = [];
    for (const [at, list] of file.map.entries()) {
      if (!(await isSound(list))) return undefined;
      try {
        ids.push(...decodeList(await plain.readChunk(list, listLength(file.bytes, at))));
      } catch (error) {
        run.damage.push({ object: parts.names.packs, what: requireFailure(error).message });
        return undefined;
      }
    }
    return ids;
  };
  return { isSound, mapOf, lost, missing, maps: new Map() };
}
