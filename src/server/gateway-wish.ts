/** From the names that an operator wrote to the gateways of a repository, or a refusal. */
import type { HostRow } from '../catalog/hosts.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { RepositoryGateways } from '../contract/routes/repositories.ts';
import { hostUnknown, questionNotUnderstood } from './failures.ts';
import type { Gateways } from './gateways.ts';
import { localHost } from './hosts.ts';

export function readGateways(row: RepositoryRow, asked: RepositoryGateways, known: readonly HostRow[]): Gateways {
  const idOf = (nameOrId: string): string => {
    const found = known.find(({ id, name }) => nameOrId === id || nameOrId === name);
    if (found === undefined) throw hostUnknown({ host: nameOrId });
    return found.id;
  };
  const refuse = (why: string): never => {
    throw questionNotUnderstood({ where: 'body', why });
  };
  const through = [...new Set(asked.through.map(idOf))];
  const hosts = asked.hosts === null ? null : [...new Set(asked.hosts.map(idOf))];
  if (through.includes(row.host)) refuse(`repository ${row.name} is on ${asked.through.find((name) => idOf(name) === row.host)}, which cannot be its own gateway`);
  if (through.includes(localHost)) refuse('the server\'s own machine is no gateway: backup data does not go by way of the server');
  if (through.length === 0 && hosts !== null) refuse('hosts are named, and no gateway that they go through');
  if (hosts?.length === 0) refuse('no host is named that goes through the gateway');
  return { through, hosts };
}
