/**
 * What a host may do to the objects of its archive over a data channel.
 *
 *   read                      everything of the archive, and the object that says what archive it is
 *   append                    new objects, except those by which a sweep or a retention works: retirements, its leases, broken marks, cuts, merged slices;
 *                             a slice only at the end of its chain (chain-ends.ts)
 *   replace                   what this session made, and the sign of who writes an oplog chain, which is a courtesy
 *   retain                    what of it is kept, for as long as the repository says
 *   take back                 what this session made and may withdraw: leases, points, proofs, slices, the sign
 *
 * Names are judged by their text, before any path is made of them.
 */
import { archivesPrefix } from '../repository/object-names.ts';

export type Right = 'read' | 'append';

/** By their whole shape, below the archive's own folder: what looks like one of them deeper down is read as something else. */
const added = /^(?:(?:packs\/[^/]+|proofs\/[^/]+|index|points|distrusted|chains)\/[^/]+|leases\/writer-[^/]+|oplog\/[^/]+\/(?:writer|slices\/[0-9a-f]{4}\/[0-9a-f]{16}-[0-9a-f]{16}|barriers\/[0-9a-f]{16}-[0-9a-f]{8}))$/;
const segment = /^[a-z0-9][a-z0-9._-]{0,127}$/;

export type ArchiveRules = ReturnType<typeof archiveRules>;

export function archiveRules(setId: string) {
  const root = `sets/${setId}/`;
  const about = `${archivesPrefix}${setId}`;
  const below = (name: string): string[] | undefined => {
    if (!name.startsWith(root)) return undefined;
    const parts = name.slice(root.length).split('/');
    return parts.every((part) => segment.test(part)) ? parts : undefined;
  };
  return {
    mayList(prefix: string): boolean {
      if (!prefix.startsWith(root)) return false;
      const parts = prefix.slice(root.length).split('/');
      const last = parts.pop()!;
      return parts.every((part) => segment.test(part)) && (last === '' || segment.test(last));
    },
    isAbout: (name: string): boolean => name === about,
    mayRead: (name: string): boolean => name === about || below(name) !== undefined,
    mayAdd: (name: string): boolean => below(name) !== undefined && added.test(name.slice(root.length)),
    /** The prefix of the slices that this one is to continue; undefined: it is no slice. */
    slicesAround: (name: string): string | undefined => (below(name) === undefined ? undefined : /^sets\/[^/]+\/oplog\/[^/]+\/slices\//.exec(name)?.[0]),
    /** The sign of a chain's writer. */
    isSign: (name: string): boolean => isSign(below(name)),
    mayTakeBack: (name: string): boolean => ['leases', 'points', 'proofs', 'oplog'].includes(below(name)?.[0] ?? ''),
    /** What stands for somebody at work and means nothing once the session is over. */
    endsWithSession: (name: string): boolean => below(name)?.[0] === 'leases' || isSign(below(name)),
  };
}

function isSign(parts: readonly string[] | undefined): boolean {
  return parts?.length === 3 && parts[0] === 'oplog' && parts[2] === 'writer';
}
