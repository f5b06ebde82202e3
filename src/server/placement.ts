/** Which host does what (docs/design/hosts.md): decided from where members were found and where repositories are. */
import type { Catalog } from '../catalog/catalog.ts';
import type { SetRow } from '../catalog/sets.ts';
import { discovered, type Discovered, type MongoTarget } from '../contract/values.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import { hostLabel } from '../base/host-label.ts';
import type { Log } from '../base/log.ts';
import type { Archives } from './archives.ts';
import { linkLost } from '../contract/failures.ts';
import { hostUnreachable } from './failures.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';

export type Placement = {
  /** Looks at a set from every connected host; what each found of it on itself, with the host's id. `patience`: while no host is there one is waited for. */
  discover(target: MongoTarget, patience?: Patience): Promise<Discovered>;
  /** Hosts that run a member, by what the last look told; the repository's own first, so that data need not travel. */
  near(set: SetRow, repository?: string): Promise<string>;
  /** Another one of those, in the place of one that is not connected; undefined: there is none, or it is. */
  besides(set: SetRow, host: string): Promise<string | undefined>;
  /** Computers, as members name them, that were taken out of the scope of the set's group: what runs there is no source. */
  leftOut(setId: string): Promise<readonly string[]>;
  /** The host of one member. */
  ofMember(found: Discovered, member: string): string;
  /** Where a moment of an archive is opened: near the set while it is protected, else on the repository's host. */
  forMoments(repository: string, setId: string): Promise<string>;
};

export type Patience = { readonly clock: Clock; readonly signal: AbortSignal; readonly waitMs: number };

const lookMs = 5_000;

/** The server's machine may see the processes of a container that is a host of its own: that one is nearer. */
function ofNearest(local: Discovered['local']): Discovered['local'] {
  const elsewhere = new Set(local.filter(({ host = localHost }) => host !== localHost).map(({ member }) => member));
  return local.filter(({ host = localHost, member }) => host !== localHost || !elsewhere.has(member));
}

const computerOf = (member: string): string => member.slice(0, member.lastIndexOf(':')).replace(/^\[|\]$/g, '');

type Look = { readonly id: string; readonly found: Discovered } | { readonly id: string; readonly why: unknown };

/** Every member that has data was found by the host that it is on: nobody else can tell more. */
function areAllPlaced(looks: readonly Look[]): boolean {
  const told = looks.flatMap((one) => ('found' in one ? [one] : []));
  const placed = new Set(told.flatMap(({ id, found }) => (id === localHost ? [] : found.local.map(({ member }) => member))));
  const [first] = told;
  return first !== undefined && first.found.members.every(({ host, port, state }) => (state !== 'primary' && state !== 'secondary') || placed.has(hostLabel({ host, port })));
}

/** Hosts that the set's members do not let in take many seconds to say so: they are waited for only while a member is not placed. */
async function lookFromEverywhere(links: Links, target: MongoTarget, log: Log, stop: AbortSignal): Promise<Look[]> {
  const over = new AbortController();
  const enough = Promise.withResolvers<void>();
  const looks: Look[] = [];
  const all = links.all().map(async (link) => {
    const look: Look = await link.ask('set.discover', { target }, { waitMs: lookMs, signal: AbortSignal.any([over.signal, stop]) }).then((found) => ({ id: link.id, found }), (why: unknown) => ({ id: link.id, why }));
    if (over.signal.aborted) return;
    if ('why' in look) log.info('a host did not look at a set', { why: describe(look.why) });
    looks.push(look);
    if (areAllPlaced(looks)) enough.resolve();
  });
  await Promise.race([Promise.all(all), enough.promise]);
  over.abort(new Error('every member was found'));
  return looks;
}

const isCutOff = (why: unknown): boolean => isFailure(why, hostUnreachable) || isFailure(why, linkLost);

const impatient: Patience = { clock: systemClock, signal: new AbortController().signal, waitMs: 0 };

/** At least one look. A link that was lost a moment ago is no answer of its host. */
async function lookPatiently({ links, log }: { links: Links; log: Log }, target: MongoTarget, { clock, signal, waitMs }: Patience): Promise<Extract<Look, { found: Discovered }>[]> {
  const untilMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const looks = await lookFromEverywhere(links, target, log, signal);
    signal.throwIfAborted();
    const told = looks.flatMap((one) => ('found' in one ? [one] : []));
    if (told.length > 0) return told;
    const whys = looks.flatMap((one) => ('why' in one ? [one.why] : []));
    if (whys.length === 0) throw hostUnreachable({ host: 'local', seconds: 0, why: 'no host is known' });
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0 || !whys.every(isCutOff)) throw whys.find((why) => !isCutOff(why)) ?? whys[0];
    await links.anyConnected(leftMs, signal);
    await clock.wait(50, signal);
  }
}

export function openPlacement({ catalog, links, archives, log }: { catalog: Catalog; links: Links; archives: Archives; log: Log }): Placement {
  async function leftOut(setId: string): Promise<readonly string[]> {
    const of = await catalog.groups.set(setId);
    return of === undefined ? [] : (await catalog.groups.computers(of.group_id)).filter(({ in_scope }) => in_scope === 0).map(({ name }) => name);
  }

  const isThere = (id: string): boolean => links.standing(id)?.state === 'connected';

  async function hostsOf(set: SetRow): Promise<string[]> {
    const [found, out] = [discovered.parse(JSON.parse(set.discovered)), new Set(await leftOut(set.id))];
    const local = ofNearest(found.local).filter(({ member }) => !out.has(computerOf(member)));
    return [...new Set(local.map(({ host }) => host ?? localHost))];
  }

  async function near(set: SetRow, from = set.repository): Promise<string> {
    const [repository, hosts] = [await archives.find(from), await hostsOf(set)];
    if (hosts.includes(repository.host)) return repository.host;
    return hosts.find(isThere) ?? hosts[0] ?? repository.host;
  }

  return {
    near,
    besides: async (set, host) => (isThere(host) ? undefined : (await hostsOf(set)).find((id) => id !== host && isThere(id))),
    leftOut,
    async discover(target, patience = impatient) {
      const told = await lookPatiently({ links, log }, target, patience);
      const first = told[0]!;
      const same = told.filter(({ found }) => found.setId === first.found.setId);
      return { ...first.found, local: ofNearest(same.flatMap(({ id, found }) => found.local.map((member) => ({ ...member, host: id })))) };
    },
    ofMember: (found, member) => ofNearest(found.local).find((one) => one.member === member)?.host ?? localHost,
    async forMoments(repository, setId) {
      const set = await catalog.sets.find(setId);
      return set === undefined ? (await archives.find(repository)).host : await near(set, repository);
    },
  };
}
