/** Who may limit how fast a task sends and receives (docs/design/data-channel.md, "Bandwidth"). All that apply hold. */
import * as z from 'zod';
import type { HostRow } from '../catalog/hosts.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import { bandwidthLimit, type BandwidthLimit, type HeldLimit } from '../contract/values.ts';

const stored = z.array(bandwidthLimit);

/** Of a host or a repository. */
export function limitsOf(row: Pick<HostRow | RepositoryRow, 'limits'>): BandwidthLimit[] {
  return stored.parse(JSON.parse(row.limits));
}

/** As a task is told: tasks of one host that are told of the same name share the limit. */
export function heldAs(of: string, limits: readonly BandwidthLimit[]): HeldLimit[] {
  return limits.map((limit) => ({ ...limit, of }));
}

/** What holds at one end: for the data of a repository, on a host, besides what a policy says of the task. */
export function limitsAt(host: HostRow, repository: RepositoryRow, ofTask: readonly HeldLimit[] = []): HeldLimit[] {
  return [...heldAs('host', limitsOf(host)), ...heldAs(`repository ${repository.id}`, limitsOf(repository)), ...ofTask];
}
