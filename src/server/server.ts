/**
 * The backup server: decides, keeps the catalog and the sessions, moves no backup data.
 *
 * Order at start: secrets and catalog, identity files (the transport waits for its own), the links, a place among the servers, REST, the default
 * repository, and then the sessions that were open. Order at stop: REST, sessions (what runs on hosts goes on), link, catalog.
 */
import { mkdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { openCatalogAt, type Catalog, type CatalogPlace } from '../catalog/catalog.ts';
import { databaseAt } from '../catalog/postgres.ts';
import { laneTaken } from '../catalog/failures.ts';
import type { SetRow } from '../catalog/sets.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import { sortableId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { writeWhole } from '../base/whole-file.ts';
import { openCaller } from '../contract/link/caller.ts';
import { listenForLinks } from '../contract/link/listen.ts';
import { openAdmission } from './admission.ts';
import { openAlarms, type BaseStanding, type Retry } from './alarms.ts';
import { keepHostAlarms } from './host-alarms.ts';
import { openArchives } from './archives.ts';
import { openAuthority } from './authority.ts';
import { openBelievedTime } from './believed-time.ts';
import type { VisitDeadlines } from './computer-visit.ts';
import { keepConfigurationCopied } from './configuration-copy.ts';
import { openCopies } from './copies.ts';
import { openCopyLimits } from './copy-limits.ts';
import { keepCopiesDue } from './copy-scheduler.ts';
import { openCredentials } from './credentials.ts';
import { ensureDefaultRepository } from './default-repository.ts';
import { openDistribution, type Distribution, type DistributionAddress } from './distribution.ts';
import { openEnrolment } from './enrolment.ts';
import { flowTable } from './flows/table.ts';
import { openGroups } from './groups.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import { openHooks } from './hooks.ts';
import { contactOverSsh, type HostContact } from './host-contact.ts';
import { openHostChanges } from './host-changes.ts';
import { openHostKeys } from './host-keys.ts';
import { openHostReach } from './host-reach.ts';
import { openHostServices } from './host-services.ts';
import { openWantedServices } from './wanted-services.ts';
import { openHosts, type Hosts } from './hosts.ts';
import { openInStep } from './in-step.ts';
import { openInstallers } from './installers.ts';
import { keepIdentities } from './identities.ts';
import { keepHistoryShort } from './history.ts';
import { keepTasksTidy } from './janitor.ts';
import { keepLocksUndone } from './left-locks.ts';
import { openLinks, type Links, type LinkTiming } from './links.ts';
import { checkNames, readNameServers, type LookAtNames, type NameServers } from './name-checks.ts';
import type { NameServerAddress } from './name-server.ts';
import { joinServers, type Sureness } from './membership.ts';
import { openMoments } from './moments.ts';
import { openOplogModes } from './oplog-mode.ts';
import { openOplogStandings } from './oplog-standings.ts';
import { openOplogTending } from './oplog-tending.ts';
import { openPeople, type PeopleOptions } from './people/people.ts';
import { openReach } from './people/reach.ts';
import { openPlacement } from './placement.ts';
import { openPoints } from './points.ts';
import { openPolicies } from './policies.ts';
import { openPolicyScheduler } from './policy-scheduler.ts';
import { keepPoliciesRunning, keepRetentionApplied, openPolicyWork } from './policy-sessions.ts';
import { keepRepositoriesReread, openRereads } from './rereads.ts';
import { openRetention } from './retention.ts';
import { inventoryOf } from './port-inventory.ts';
import { openProtectedSets } from './protected-sets.ts';
import { keepRescansDue } from './rescan-scheduler.ts';
import { keepRounds } from './rounds.ts';
import { openRescans } from './rescans.ts';
import { openRest } from './rest/app.ts';
import { allHandlers } from './rest/handlers/table.ts';
import { sessionStream } from './rest/session-stream.ts';
import { openSetLooks } from './set-looks.ts';
import { demandSameSecrets } from './same-secrets.ts';
import { openSealer } from './sealing.ts';
import type { Services } from './services.ts';
import { laneOf, openSessionEngine, type Timing } from './session-engine.ts';
import { openSessionLog } from './session-log.ts';
import { keepHostsTold } from './server-addresses.ts';
import { viewSession } from './session-view.ts';
import { openServiceVersions, type ServiceVersions } from './service-versions.ts';
import { ensureOwnToken, openGate } from './sign-in.ts';
import { openPolicyPromises } from './policy-promises.ts';
import { withoutNewBase } from './policy-wish.ts';
import { keepRepositoriesSwept, openSweeps } from './sweeps.ts';
import { openTelling } from './telling/telling.ts';
import { keepSetsVerified } from './verification-scheduler.ts';
import { openVerifications } from './verifications.ts';

export type Address = { readonly host: string; readonly port: number };

export type ServerOptions = {
  dataDirectory: string;
  /** A catalog that servers share; its own, in the data directory, when left out. */
  catalog?: CatalogPlace;
  listen: Address;
  /** Where this machine's transport service takes orders. */
  transport: Address;
  /** Where hosts enrol, and where those that dial in do; null: this server has no other hosts. */
  enrolment: Address | null;
  agents: Address | null;
  /** The address that hosts are told to reach this server at. */
  announce?: string;
  /** Name servers that names are checked at, in place of those of this machine's resolver settings; none: names are not checked. */
  dns?: readonly NameServerAddress[];
  /** The distribution server, when there is one. */
  distribution?: DistributionAddress | null;
  version: string;
  log: Log;
  clock?: Clock;
  timing?: Partial<Timing> & { oplogWaitMs?: number; findWaitMs?: number; archiveWaitMs?: number; repositoryWaitMs?: number; alarmEveryMs?: number; alarmRetry?: Retry; tellEveryMs?: number; rescanMs?: Partial<VisitDeadlines>; copyEveryMs?: number; goneAfterMs?: number; streamQuietMs?: number; leaseMs?: number; configurationEveryMs?: number; link?: LinkTiming };
  /** How hosts are reached that have nothing of ours; over SSH unless a test has its own. */
  contact?: HostContact;
  /** What a first contact puts on a Windows host: a directory with node.exe and installer.js. */
  windowsInstaller?: string;
  people?: PeopleOptions;
};

export type Server = {
  readonly url: string;
  readonly tokenFile: string;
  readonly caFile: string;
  /** Resolves when the default repository is there, or with why it is not. */
  readonly repositoryReady: Promise<string | null>;
  /** Resolves when other servers have taken its place: it does nothing more, and is to be ended. */
  readonly replaced: Promise<Error>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function openServer(options: ServerOptions): Promise<Server> {
  const { dataDirectory: data, log, timing = {}, version } = options;
  const clock = options.clock ?? systemClock;
  const startedAtMs = clock.now();
  const ends = new AbortController();
  const files = { token: join(data, 'admin.token'), ca: join(data, 'ca.pem'), transport: join(data, 'transport.json'), server: join(data, 'server', 'identity.json'), depot: options.distribution?.isLocal === true ? join(data, 'depot', 'identity.json') : null };

  for (const directory of ['server', ...(files.depot === null ? [] : ['depot'])]) await mkdir(join(data, directory), { recursive: true, mode: 0o700 });
  // Files of a contact that was cut short: one may hold a password.
  await rm(join(data, 'server', 'windows-contacts'), { recursive: true, force: true });
  const sealer = await openSealer(join(data, 'master.key'));
  const catalog = await openCatalogAt(options.catalog ?? { kind: 'sqlite', path: join(data, 'server', 'catalog.sqlite') });
  const isShared = catalog.kind === 'postgres';
  const authority = await openAuthority(join(data, 'server'), clock, async ({ serial, part, name, notAfterMs }) => {
    await catalog.certificates.record({ serial, part, name, issuedMs: clock.now(), notAfterMs });
  });
  if (isShared) await demandSameSecrets(catalog, sealer, authority.fingerprint);
  // Of one place, whose earlier start is over when there is a new one.
  const name = `${hostname()}:${data}`;
  await writeWhole(files.ca, authority.caPem, 0o644);
  const of = isShared ? `@${name}` : '';
  await ensureOwnToken(files.token, 'admin', catalog, clock, of);
  await ensureOwnToken(join(data, 'metrics.token'), 'metrics', catalog, clock, of);
  const announce = options.announce ?? hostname();
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname(), announce, options.listen.host])];
  const identities = await keepIdentities({ authority, files, hosts: names, clock, log, signal: ends.signal });

  const admission = await openAdmission(catalog, clock);
  const linking = { identity: identities.server, admission, version, clock, log, timing: timing.link };
  const links = openLinks({ part: 'transport', ...linking });
  const deployers = openLinks({ part: 'deployer', ...linking });
  const distribution = openDistribution({ at: options.distribution ?? null, identity: identities.server, admission });
  const versions = openServiceVersions({ distribution, links, deployers, version, clock, log });
  const hosts = openHosts({ catalog, links, deployers, admission, versions, distribution, clock, announced: () => (enrolment === undefined || agents === undefined ? null : { address: announce, enrolmentPort: enrolment.port, controlPort: agents.port, fingerprint: authority.fingerprint }) });
  // Each of several servers has another machine: those that work for them are hosts like any other.
  if (!isShared) await hosts.placeLocal(options.transport);
  for (const host of await hosts.list()) {
    if (host.state === 'enrolled') await links.open(host);
    if (host.deployer_ms !== null) await deployers.open(host);
  }
  const shown = { identity: identities.server(), catalog, authority, admission, links, deployers, clock, log };
  const enrolment = options.enrolment === null ? undefined : await openEnrolment({ ...options.enrolment, ...shown });
  const agents = options.agents === null ? undefined : await listenForLinks({ ...options.agents, identity: identities.server(), admit: admission.anyOf(['transport', 'deployer']), role: 'caller', version, log, onChannel: (channel) => (channel.peer.part === 'deployer' ? deployers : links).accept(channel.peer.name, openCaller(channel)) });
  const { services, engine, alarms, telling, believed } = compose({ data, version, caPem: authority.caPem, catalog, clock, log, links, deployers, distribution, versions, hosts, sealer, timing, contact: options.contact, identity: identities.server, windowsInstaller: options.windowsInstaller ?? '', dns: options.dns, people: options.people, sureness: { isSure: () => membership.isSure(), sure: () => membership.sure() } }, () => ({ version, startedAtMs, url, caFingerprint: authority.fingerprint, ...(options.catalog?.kind === 'postgres' && { catalogAt: databaseAt(options.catalog.url) }), ...(options.announce !== undefined && { announced: options.announce }), hostPorts: { ...(enrolment !== undefined && { enrolmentPort: enrolment.port }), ...(agents !== undefined && { agentControlPort: agents.port }), ...(distribution.at !== null && { depotPort: distribution.at.apiPort, installerPort: distribution.at.installerPort }) } }));
  for (const kind of [links, deployers]) kind.onConnect((caller, link) => void hosts.learn(link.id, caller.channel.hello.platform).catch((error: unknown) => log.warn('what a host runs was not kept', { host: link.host, why: describe(error) })));
  keepTasksTidy({ links, catalog, log, signal: ends.signal });
  keepHostAlarms({ links, catalog, clock, log, signal: ends.signal });
  keepLocksUndone({ links, sets: services.sets, log, signal: ends.signal });

  const gate = openGate(catalog, clock, services.roles);
  const streams = { 'session.events': sessionStream(engine, services.sessionLog, ends.signal, timing.streamQuietMs) };
  const rest = openRest({ identity: identities.server(), gate, reach: openReach(catalog, services.engine.wishOf), knock: services.signIns.knock, audit: services.audit, handlers: allHandlers(services), streams, log });
  identities.onRenewed(() => {
    for (const shows of [rest, enrolment, agents]) shows?.renew(identities.server());
  });
  // Not before everything is made that keeps the processor: a lease that nobody can renew is soon another's. Nothing has to do with sessions until here.
  const membership = await joinServers({ catalog, name, version, clock, log, leaseMs: timing.leaseMs, signal: ends.signal });
  const bound = await rest.listen(options.listen.host, options.listen.port);
  const url = `https://${options.listen.host.includes(':') ? `[${options.listen.host}]` : options.listen.host}:${bound.port}`;

  const repositoryReady = isShared ? Promise.resolve(null) : ensureDefaultRepository({ data, archives: services.archives, catalog, links, log, waitMs: timing.repositoryWaitMs ?? 60_000, clock, signal: ends.signal });
  await engine.look();
  const keepInStep = openInStep({ catalog, admission, links, deployers });
  const own = enrolment === undefined || agents === undefined ? null : { enrolment_host: announce, enrolment_port: enrolment.port, orders_host: announce, orders_port: agents.port };
  const keepTold = await keepHostsTold({ catalog, links, deployers, own, clock, log });
  membership.keep(async () => {
    await keepInStep();
    await keepTold();
    await engine.look();
  });
  // Others look all the time; with a catalog of its own there is nobody else to look for.
  if (!isShared) keepRounds('the open sessions', async () => await engine.look().then(() => Infinity), { clock, log, signal: ends.signal });
  const isMine = async (): Promise<boolean> => await catalog.servers.takeDuty('schedules');
  const beginMissingKeepers = async (): Promise<number> => {
    const kept = new Set((await catalog.sessions.unfinishedOf('oplog')).map(({ set_id }) => set_id));
    for (const set of await services.sets.list()) if (!kept.has(set.id)) await services.keepOplog(set);
    return Infinity;
  };
  await beginMissingKeepers();
  // A server that is killed between the end of one keeper and the begin of the next leaves none.
  keepRounds('the keepers of the oplog', beginMissingKeepers, { clock, log, isMine, signal: ends.signal });
  const due = keepRescansDue({ catalog, start: async (group) => void (await services.rescans.start(group, { reason: 'scheduled' })), clock, log, isMine, signal: ends.signal });
  services.rescans.onWake(due.wake);
  services.directory.keepChecked(ends.signal);
  for (const copy of await services.copies.list()) await services.copies.keepFollowed(copy);
  const copiesDue = keepCopiesDue({ catalog, start: async (copy) => void (await services.copies.start(copy, 'scheduled')), clock, log, isMine, signal: ends.signal });
  services.copies.onChange(copiesDue.wake);
  const schedules = { catalog, clock, log, isMine, signal: ends.signal };
  believed.keep(isMine, ends.signal);
  keepHistoryShort({ ...schedules, believed });
  const policyRounds = keepPoliciesRunning(services.policyRuns, schedules);
  const wakes = [policyRounds, keepSetsVerified({ ...schedules, verifications: services.verifications })];
  services.policies.onChange(() => wakes.forEach(({ wake }) => wake()));
  services.rereads.onChange(keepRepositoriesReread({ ...schedules, rereads: services.rereads, engine }).wake);
  services.sweeps.onChange(keepRepositoriesSwept({ ...schedules, sweeps: services.sweeps, engine }).wake);
  keepRetentionApplied({ catalog, retention: services.retention, tending: services.tending, clock, log, isMine, signal: ends.signal });
  const tells = telling.run(ends.signal, isMine);
  keepConfigurationCopied({ catalog, archives: services.archives, links, sealer, secrets: { masterKeyHex: sealer.masterKeyHex, authority: authority.secret }, installation: authority.fingerprint.slice(0, 16), version, clock, log, isMine, everyMs: timing.configurationEveryMs, signal: ends.signal });
  const answering = alarms.keepAsking(() => policyRounds.wake(), ends.signal, isMine);

  const close = async (): Promise<void> => {
    if (ends.signal.aborted) return;
    ends.abort(new Error('the server ends'));
    await rest.close();
    await engine.close();
    await Promise.all([enrolment?.close(), agents?.close(), links.close(), deployers.close()]);
    await Promise.allSettled([repositoryReady, answering, tells]);
    await membership.leave();
    await catalog.close();
  };
  return { url, tokenFile: files.token, caFile: files.ca, repositoryReady, replaced: membership.lost, close, [Symbol.asyncDispose]: close };
}

type Base = { data: string; version: string; caPem: string; catalog: Catalog; clock: Clock; log: Log; links: Links; deployers: Links; distribution: Distribution; versions: ServiceVersions; hosts: Hosts; sealer: Awaited<ReturnType<typeof openSealer>>; timing: NonNullable<ServerOptions['timing']>; contact: HostContact | undefined; identity: () => LinkIdentity; windowsInstaller: string; dns: readonly NameServerAddress[] | undefined; people: PeopleOptions | undefined; sureness: Sureness };

function compose(base: Base, about: Services['about']) {
  const { catalog, clock, log, links, deployers, distribution, versions, hosts, sealer, timing } = base;
  const rereads = openRereads({ catalog, clock });
  const sweeps = openSweeps({ catalog, clock });
  const archives = openArchives({ catalog, sealer, links, clock, rereads, sweeps });
  const credentials = openCredentials({ catalog, sealer, clock });
  const hostKeys = openHostKeys({ catalog, clock });
  const people = openPeople({ catalog, clock, log, sealer, data: base.data }, base.people);
  const contact = base.contact ?? contactOverSsh(hostKeys);
  const hostServices = openHostServices({ links, deployers, distribution });
  const hostChanges = openHostChanges(() => engine);
  const wantedServices = openWantedServices({ hosts, deployers, hostServices, hostChanges, versions, distribution, catalog });
  const hostReach = openHostReach({ hosts, links, credentials, contact });
  const lookAtSet = openSetLooks(links);
  const groups = openGroups({ catalog, credentials, lookAtSet, clock });
  const installers = openInstallers({ hosts, distribution, caPem: base.caPem });
  const placement = openPlacement({ catalog, links, archives, log });
  const points = openPoints({ catalog, archives });
  const standings = openOplogStandings(catalog, clock);
  const sets = openProtectedSets({ catalog, sealer, links, placement, clock, archives, standings, points });
  const moments = openMoments({ links, archives, points, standings, clock, waitMs: timing.archiveWaitMs });
  const baseOf = async (set: SetRow): Promise<BaseStanding> => {
    const rows = await points.list(set.id);
    const [good, newest] = [points.good(rows, set.repository), points.newestUnproved(rows, set.repository)];
    const needs = async (some: typeof good): Promise<boolean> => (await standings.view(set.id, some)).needsBase;
    return { good, isNeeded: await needs(good), unproved: newest === null || (await needs([...good, newest])) ? null : newest };
  };
  const alarms = openAlarms({ catalog, clock, log, baseOf, prove: async (asked) => await verifications.prove(asked), withoutNewBase: async (set) => await withoutNewBase(set, catalog), everyMs: timing.alarmEveryMs, retry: timing.alarmRetry });
  const copies = openCopies({ catalog, archives, sets, points, clock, log }, () => engine);
  const believed = openBelievedTime({ catalog, clock, log });
  const tending = openOplogTending({ catalog, archives, points, links, believed, standings, version: base.version }, () => engine);
  const retention = openRetention({ catalog, archives, points, tending, clock, believed, log }, () => engine);
  const verifications = openVerifications({ catalog, moments }, () => engine);
  const policies = openPolicies({ catalog, clock });
  const copyLimits = openCopyLimits(catalog);
  const sessionLog = openSessionLog(catalog, clock);
  const hooks = openHooks({ catalog, hosts, links, clock });
  const nameServers = async (): Promise<NameServers | null> => await readNameServers(base.dns);
  const lookAtNames: LookAtNames = async (isWanted, signal) => {
    const at = await nameServers();
    return at === null ? null : await checkNames(await inventoryOf(services), at, { isWanted, signal });
  };
  const flows = flowTable({ lookAtNames, hooks, hosts, links, deployers, credentials, contact, distribution, hostServices, windows: { installerDirectory: base.windowsInstaller, workDirectory: join(base.data, 'server', 'windows-contacts'), identity: base.identity }, packagesDirectory: join(base.data, 'server', 'first-packages'), wantedServices, versions, hostReach, groups, lookAtSet, placement, sets, points, standings, archives, alarms, retention, verifications, rereads, sweeps, tending, believed, catalog, copies, userOf: async (point) => await engine.userOf(point), copyEveryMs: timing.copyEveryMs, oplogWaitMs: timing.oplogWaitMs, findWaitMs: timing.findWaitMs, rescanMs: timing.rescanMs, goneAfterMs: timing.goneAfterMs });
  const engine = openSessionEngine({ catalog, sessionLog, sealer, links, hosts, archives, flows, clock, log, timing, sureness: base.sureness });
  const work = openPolicyWork({ catalog, engine, sets, points, placement, alarms, wake: policies.wake });
  const policyRuns = openPolicyScheduler({ book: catalog.policies, work, clock, log, limits: copyLimits.all, newId: () => sortableId(clock) });
  const keepOplog = async (set: SetRow): Promise<void> => {
    try {
      const object = { kind: 'set', id: set.id, name: set.name } as const;
      await engine.start({ kind: 'oplog', object, setId: set.id, lane: laneOf('oplog', set.id), wish: { setId: set.id } });
    } catch (error) {
      if (!isFailure(error, laneTaken)) throw error;
    }
  };
  const telling = openTelling({ catalog, sealer, points, standings, policies: openPolicyPromises({ catalog, clock }), clock, log, fingerprint: () => about().caFingerprint, server: () => about().url, everyMs: timing.tellEveryMs });
  const services: Services = {
    ...telling.services, hooks,
    ...people, sealer, catalog, clock, log, links, hosts, hostChanges, distribution, versions, installers, placement, archives, copies, credentials, hostKeys, hostReach, lookAtSet, groups, rescans: openRescans(engine), sets, points, policies, policyRuns, copyLimits, retention, verifications, rereads, sweeps, tending, standings, oplogModes: openOplogModes({ catalog, engine, keepOplog, clock }), moments, engine, sessionLog, keepOplog, nameServers, about,
    viewSession: async (row) => await viewSession(row, catalog, sessionLog),
  };
  return { services, engine, alarms, telling, believed };
}
