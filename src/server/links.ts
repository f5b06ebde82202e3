/**
 * The links to one kind of service of all hosts, transports or deployers: one for each that has enrolled, opened and closed
 * as hosts come and go.
 *
 * A host that the server dials is dialled at its address and the port of that service; one that dials in (port 10006) is waited for, and
 * the same orders go down the connection that it opened. A second connection of one host takes the place of the first: the
 * host would not have dialled while it had one.
 */
import type { HostRow } from '../catalog/hosts.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import { dialOrders, type DialOptions } from '../contract/link/dial.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { Admission } from './admission.ts';
import { hostUnknown } from './failures.ts';
import { keepLink, type LinkOptions, type LinkStanding, type TransportLink } from './transport-link.ts';

export type Links = {
  /** The link of a host by its id. */
  of(id: string): TransportLink;
  all(): TransportLink[];
  /** Undefined for a host that has no link of this kind. */
  standing(id: string): LinkStanding | undefined;
  /** True when the host's service is connected, else what is missing. */
  answers(id: string): true | string;
  /** Resolves when any host is connected; fails as the server's own link does when none is in time. */
  anyConnected(waitMs: number, signal?: AbortSignal): Promise<void>;
  /** Opens the host's link, or has it dial anew with what has changed; sessions that use it keep it. */
  open(host: HostRow): Promise<void>;
  drop(id: string): Promise<void>;
  /** Takes a connection that a host has dialled. */
  accept(id: string, caller: Caller): void;
  /** Called for every connection of every host, those that are there included. */
  onConnect(listener: (caller: Caller, link: TransportLink) => void): void;
  /** Calls back with each connected host: when it is connected, and once a minute until the signal is aborted. */
  goRound(visit: (caller: Caller, link: TransportLink) => Promise<void>, signal: AbortSignal): void;
  close(): Promise<void>;
};

/** In place of the usual ones. */
export type LinkTiming = Pick<NonNullable<DialOptions['timing']>, 'pingMs' | 'deadMs'> & Pick<LinkOptions, 'shortestWaitMs'>;

const roundMs = 60_000;

export function openLinks(options: { part: 'transport' | 'deployer'; identity: () => LinkIdentity; admission: Admission; version: string; clock: Clock; log: Log; timing?: LinkTiming }): Links {
  const { part, admission, version, clock, timing } = options;
  const log = options.log.with({ service: part });
  const portOf = (host: HostRow): number => (part === 'transport' ? host.control_port : host.deployer_port);
  const links = new Map<string, TransportLink>();
  /** As they are now: what a link dials next. */
  const rows = new Map<string, HostRow>();
  const inboxes = new Map<string, Inbox>();
  const listeners: ((caller: Caller, link: TransportLink) => void)[] = [];

  const inboxOf = (id: string): Inbox => {
    const known = inboxes.get(id) ?? openInbox();
    inboxes.set(id, known);
    return known;
  };
  const dialIt = async (host: HostRow): Promise<Caller> => {
    await admission.refresh();
    return await dialOrders({ host: host.address, port: portOf(host), identity: options.identity(), version, admit: admission.part(part, host.id), timing });
  };
  const drop = async (id: string): Promise<void> => {
    const link = links.get(id);
    links.delete(id);
    rows.delete(id);
    inboxes.delete(id);
    await link?.close();
  };

  const onConnect: Links['onConnect'] = (listener) => {
    listeners.push(listener);
    for (const link of links.values()) link.onConnect((caller) => listener(caller, link));
  };

  return {
    of(id) {
      const link = links.get(id);
      if (link === undefined) throw hostUnknown({ host: id });
      return link;
    },
    all: () => [...links.values()],
    standing: (id) => links.get(id)?.standing(),
    answers(id) {
      const standing = links.get(id)?.standing();
      if (standing === undefined) return 'it has not enrolled yet';
      return standing.state === 'connected' ? true : `its ${part} service is not connected: ${standing.says ?? standing.state}`;
    },
    async anyConnected(waitMs, signal) {
      try {
        await Promise.any([...links.values()].map(async (link) => await link.connected(waitMs, signal)));
      } catch (error) {
        throw error instanceof AggregateError ? (error.errors[0] as Error) : error;
      }
    },
    async open(host) {
      const { id, name } = host;
      rows.set(id, host);
      const known = links.get(id);
      if (known !== undefined) return await Promise.resolve(known.redial());
      const now = (): HostRow => rows.get(id) ?? host;
      const link = keepLink({
        service: part,
        id,
        host: name,
        get address() {
          return now().dials === 'host' ? `${name} (it dials in)` : `${now().address}:${portOf(now())}`;
        },
        dial: async (signal) => (now().dials === 'host' ? await inboxOf(id).next(signal) : await dialIt(now())),
        clock,
        log,
        shortestWaitMs: timing?.shortestWaitMs,
      });
      links.set(id, link);
      for (const listener of listeners) link.onConnect((caller) => listener(caller, link));
    },
    drop,
    accept(id, caller) {
      if (links.has(id)) inboxOf(id).put(caller);
      else caller.close();
    },
    onConnect,
    goRound(visit, signal) {
      onConnect((caller, link) => void visit(caller, link));
      const round = async (): Promise<void> => {
        for (;;) {
          await clock.wait(roundMs, signal);
          for (const link of [...links.values()]) {
            // Lost in this instant: it is visited when it is there again.
            const caller = await link.connected(1, signal).catch(() => undefined);
            if (caller !== undefined) await visit(caller, link);
          }
        }
      };
      round().catch(() => {});
    },
    close: async () => void (await Promise.all([...links.keys()].map(drop))),
  };
}

type Inbox = { put(caller: Caller): void; next(signal: AbortSignal): Promise<Caller> };

/** Holds the newest connection of a host until its link takes it. */
function openInbox(): Inbox {
  let held: Caller | undefined;
  let taken: Caller | undefined;
  let wake = Promise.withResolvers<void>();
  return {
    put(caller) {
      held?.close();
      taken?.close();
      held = caller;
      wake.resolve();
    },
    async next(signal) {
      for (;;) {
        signal.throwIfAborted();
        if (held !== undefined) {
          taken = held;
          held = undefined;
          return taken;
        }
        wake = Promise.withResolvers();
        const leave = (): void => wake.reject(signal.reason as Error);
        signal.addEventListener('abort', leave, { once: true });
        await wake.promise.finally(() => signal.removeEventListener('abort', leave));
      }
    },
  };
}
