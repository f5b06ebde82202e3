import { join } from 'node:path';
import { keptCompiled } from '../../base/compile-cache.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Address } from './address.ts';
import type { PartLog } from './part-log.ts';
import type { Part } from './supervisor.ts';

/** Where hosts reach the server, when it takes any, and the distribution server: a part of this machine, or elsewhere. */
export type HostsListen = { readonly enrolment: Address; readonly agents: Address; readonly announce: string; readonly depot: DepotListen | undefined };
export type DepotListen = { readonly isHere: boolean; readonly api: Address; readonly installer: Address };

/** The parts of an all-in-one machine, in the order in which they start. Stopped in reverse: first who carries out, then who orders. */
export function localParts(options: {
  path: string;
  listen: Address;
  transport: Address;
  hosts?: HostsListen;
  nameServers: readonly Address[];
  /** Where servers share a catalog: then this machine has no transport service of the server's own. */
  catalog?: { readonly url: string; readonly passwordFile: string | undefined; readonly isBackedUp: boolean };
  programs: Surroundings['programs'];
  logs: { server: PartLog; transport: PartLog; depot: PartLog };
}): Part[] {
  const { path, programs, logs } = options;
  const at = ({ host, port }: Address): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
  const { hosts, catalog } = options;
  const taking = hosts === undefined ? [] : ['--enrolment', at(hosts.enrolment), '--agents', at(hosts.agents), '--announce', hosts.announce];
  const depot = hosts?.depot;
  if (depot !== undefined) taking.push('--depot', at({ host: depot.installer.host, port: depot.api.port }), '--installer-port', String(depot.installer.port), ...(depot.isHere ? ['--depot-is-here'] : []));
  const shared = catalog === undefined ? [] : ['--catalog', catalog.url, ...(catalog.passwordFile === undefined ? [] : ['--catalog-password-file', catalog.passwordFile]), ...(catalog.isBackedUp ? ['--catalog-backed-up'] : [])];
  const transport: Part = {
    name: 'transport',
    program: programs.transport,
    args: ['--identity', join(path, 'transport.json'), '--work', join(path, 'work'), '--listen', at(options.transport)],
    environment: keptCompiled(path),
    log: logs.transport,
    stopWithinMs: 40_000,
  };
  return [
    {
      name: 'server',
      program: programs.server,
      args: ['--data', path, '--listen', at(options.listen), '--transport', at(options.transport), ...taking, ...shared, ...options.nameServers.flatMap((address) => ['--dns', at(address)])],
      environment: keptCompiled(path),
      log: logs.server,
      stopWithinMs: 15_000,
    },
    ...(catalog === undefined ? [transport] : []),
    ...(depot?.isHere === true
      ? [
          {
            name: 'depot',
            program: programs.depot,
            args: ['--data', join(path, 'depot'), '--identity', join(path, 'depot/identity.json'), '--listen', at(depot.api), '--installer', at(depot.installer)],
            environment: keptCompiled(path),
            log: logs.depot,
            stopWithinMs: 15_000,
          },
        ]
      : []),
  ];
}
