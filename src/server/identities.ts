/** The certificates of this machine's parts: issued at start, renewed at two thirds of their life, while running too. */
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { Authority } from './authority.ts';

export type Identities = { server(): LinkIdentity; onRenewed(listener: () => void): void };

const lookEveryMs = 3_600_000;

export async function keepIdentities(options: {
  authority: Authority;
  /** `depot` where this machine runs the distribution server. */
  files: { transport: string; server: string; depot: string | null };
  hosts: readonly string[];
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}): Promise<Identities> {
  const { authority, files, hosts, clock, log, signal } = options;
  const listeners: (() => void)[] = [];
  const look = async () => {
    const server = await authority.keep(files.server, { part: 'server', name: 'server', hosts });
    await authority.keep(files.transport, { part: 'transport', name: 'local', hosts });
    if (files.depot !== null) await authority.keep(files.depot, { part: 'depot', name: 'local', hosts });
    return server;
  };
  let server = await look();
  const keep = async (): Promise<void> => {
    for (;;) {
      await clock.wait(lookEveryMs, signal);
      try {
        server = await look();
        if (server.renewed) for (const listener of listeners) listener();
      } catch (error) {
        log.error('certificates could not be renewed', { why: describe(error) });
      }
    }
  };
  keep().catch(() => {});
  return { server: () => server, onRenewed: (listener) => void listeners.push(listener) };
}
