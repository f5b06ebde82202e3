/** What a task says holds it up. A place on another machine is reached by the network, and what is slow behind it looks the same from here. */
import type { Bottleneck } from '../contract/tasks.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import type { Stage } from '../repository/archive.ts';

const isElsewhere = ({ location }: Pick<ArchiveAccess, 'location'>): boolean => location.kind !== 'directory';

export function storingHeldUpBy(stage: Stage | null, archive: Pick<ArchiveAccess, 'location'>): Bottleneck | null {
  return stage === null ? null : ({ read: 'source read', work: 'hash', write: isElsewhere(archive) ? 'network' : 'repository write' } as const)[stage];
}

export function layingHeldUpBy(stage: Stage | null, archive: Pick<ArchiveAccess, 'location'>): Bottleneck | null {
  return stage === null ? null : ({ read: isElsewhere(archive) ? 'network' : 'repository read', work: 'decompress', write: 'target write' } as const)[stage];
}
