/**
 * The names of an archive's objects. They tell how much was stored and when, and nothing of what.
 *
 *   immutable/<days>                                             for how long everything that is kept here is kept, if it was raised
 *   archives/<setId>                                             what set this is; a short list of all archives
 *   sets/<setId>/packs/<first two>/<pack id>                     chunks
 *                index/<segment id>                              where chunks are
 *                points/<point id>                               a restore point exists exactly when this does
 *                proofs/<point id>/<time id>                     what was found when a point was opened
 *                leases/<writer|sweep>-<time id>                 who works here now
 *                retired/<time id>                               packs that a sweep is about to delete
 *                distrusted/<time id>                            packs in which a check found damage
 *                chains/<chain id>                               why an oplog chain was started, and after what
 *                oplog/<chain id>/writer                         who writes it now
 *                oplog/<chain id>/slices/<day>/<after>-<through> entries of (after, through]; day and times in hex
 *                                     …<after>-<through>-merged  the same, in the place of several
 *                oplog/<chain id>/barriers/<at>-<check>          an entry that cannot be replayed over
 *                oplog/<chain id>/cuts/<after>-<through>         in the place of entries that retention removed
 */
export const archivesPrefix = 'archives/';
export const immutablePrefix = 'immutable/';

/** The only object in clear, twice. */
export const descriptorNames = ['tidemark.json', 'tidemark-copy.json'] as const;

const keptBelowSet = new Set(['packs', 'points', 'proofs', 'chains']);

/**
 * What an immutable repository keeps: everything that a restore needs and nobody can make again. Not the index, which is made again
 * from the packs' own trailers and would slow down if what was merged could not be deleted; not what tells who works here now.
 */
export function isKept(name: string): boolean {
  const [top, , kind, , sub] = name.split('/');
  if (top !== 'sets') return `${top}/` === archivesPrefix || `${top}/` === immutablePrefix || (descriptorNames as readonly string[]).includes(name);
  return keptBelowSet.has(kind ?? '') || (kind === 'oplog' && (sub === 'slices' || sub === 'barriers' || sub === 'cuts'));
}

/** A slice that another writer's crosses is withdrawn, so it is retained once it is known to stand alone. */
export function isKeptFromPut(name: string): boolean {
  return isKept(name) && name.split('/')[4] !== 'slices';
}

/** Of the name of a slice that stands in the place of several. Nobody puts such a one over a data channel. */
export const mergedSuffix = '-merged';

const secondsOfDay = 86_400;

export type ObjectNames = ReturnType<typeof objectNames>;

export function objectNames(setId: string) {
  const root = `sets/${setId}/`;
  return {
    about: `${archivesPrefix}${setId}`,
    packs: `${root}packs/`,
    pack: (id: string) => `${root}packs/${id.slice(0, 2)}/${id}`,
    index: `${root}index/`,
    segment: (id: string) => `${root}index/${id}`,
    points: `${root}points/`,
    point: (id: string) => `${root}points/${id}`,
    proofs: (point: string) => `${root}proofs/${point}/`,
    proof: (point: string, id: string) => `${root}proofs/${point}/${id}`,
    leases: `${root}leases/`,
    lease: (kind: 'writer' | 'sweep', id: string) => `${root}leases/${kind}-${id}`,
    retiredAll: `${root}retired/`,
    retired: (id: string) => `${root}retired/${id}`,
    distrustedAll: `${root}distrusted/`,
    distrusted: (id: string) => `${root}distrusted/${id}`,
    oplog: `${root}oplog/`,
    chains: `${root}chains/`,
    chainStart: (chain: string) => `${root}chains/${chain}`,
    chainWriter: (chain: string) => `${root}oplog/${chain}/writer`,
    slices: (chain: string) => `${root}oplog/${chain}/slices/`,
    day: (chain: string, day: number) => `${root}oplog/${chain}/slices/${day.toString(16).padStart(4, '0')}/`,
    barriers: (chain: string) => `${root}oplog/${chain}/barriers/`,
    cuts: (chain: string) => `${root}oplog/${chain}/cuts/`,
  };
}

/** Days since 1970: the folder of a slice is the day of the moment it starts after. */
export function dayOf(seconds: number): number {
  return Math.floor(seconds / secondsOfDay);
}

export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** A name that came from outside must not lead out of its folder. */
export function isPlainId(id: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,127}$/i.test(id);
}
