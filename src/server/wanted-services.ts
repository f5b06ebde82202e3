/**
 * Where a rescan brings a host's services to the wanted state, by the sessions that "node install" and "node update" open:
 *
 *   not both there ──deploy──▶ both connected ──a package is newer, and no session works there──▶ update
 *
 * A change of the host that is under way already is waited for; then it is looked again what is to be done. What was decided
 * is noted, so that a rescan that is taken up again waits for the session that it had opened.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import { compareVersions } from '../contract/packages.ts';
import { endlessSessionKinds } from '../contract/sessions.ts';
import type { Distribution } from './distribution.ts';
import { noDepot } from './failures.ts';
import type { FlowContext } from './flow.ts';
import type { HostChange, HostChanges, OpenedChange } from './host-changes.ts';
import type { HostServices } from './host-services.ts';
import { localHost, type Hosts } from './hosts.ts';
import type { Links } from './links.ts';
import type { ServiceVersions } from './service-versions.ts';

export type ServicesWanted = {
  readonly install: boolean;
  readonly update: boolean;
  /** The id of a host credential; null where the host is not to be reached over SSH. */
  readonly credential: string | null;
  /** Why, for the session that is opened. */
  readonly reason: string;
};

/** `missing`: it has none, and is not to get any. `left`: they are as they were, for the reason given. */
export type ServicesFound = { readonly kind: 'in place' | 'installed' | 'updated' | 'missing' } | { readonly kind: 'left'; readonly why: string };

export type WantedServices = ReturnType<typeof openWantedServices>;

type Decided = { readonly found: ServicesFound } | { readonly change: OpenedChange; readonly brings: ServicesFound };

/** What begins there after the look for open tasks has this long to end. */
const sessionsWithinMs = 300_000;

export function openWantedServices(options: { hosts: Hosts; deployers: Links; hostServices: HostServices; hostChanges: HostChanges; versions: ServiceVersions; distribution: Distribution; catalog: Catalog }) {
  const { hosts, deployers, hostServices, hostChanges, versions, distribution, catalog } = options;

  /** A task of a session that follows an oplog goes on for ever: it is taken up again after an update. */
  async function workingSession(host: HostRow): Promise<string | undefined> {
    const followed = new Set((await catalog.sessions.unfinished()).filter(({ kind }) => endlessSessionKinds.has(kind)).map(({ id }) => id));
    return (await catalog.sessions.openTasks()).find((task) => task.host === host.id && !followed.has(task.session))?.session;
  }

  async function updateOf(host: HostRow, signal: AbortSignal): Promise<{ update: true } | ServicesFound> {
    if (!(await hostServices.answers(host, signal))) return { kind: 'left', why: String(deployers.answers(host.id)) };
    const { platform, packages } = await deployers.of(host.id).call('deployer.describe', {}, { signal });
    const newer = packages.flatMap(({ name, version: runs }) => {
      const offered = versions.newest(name, platform);
      return runs !== null && offered !== null && compareVersions(offered, runs) > 0 ? [`${name} ${offered}`] : [];
    });
    if (newer.length === 0) return { kind: 'in place' };
    const session = await workingSession(host);
    return session === undefined ? { update: true } : { kind: 'left', why: `${newer.join(' and ')} ${newer.length === 1 ? 'waits' : 'wait'} for session ${session}, which is at work there` };
  }

  async function decide(host: HostRow, wanted: ServicesWanted, signal: AbortSignal): Promise<Decided> {
    const begin = async (change: HostChange, brings: ServicesFound): Promise<Decided> => ({ change: await hostChanges.open(host, change, wanted.reason), brings });
    if (host.id === localHost) return { found: { kind: 'in place' } };
    if (host.state === 'enrolled' && hostServices.hasDeployer(host)) {
      const found = wanted.update ? await updateOf(host, signal) : ({ kind: 'in place' } as const);
      return 'update' in found ? await begin({ kind: 'update', wish: { sessionsWithinMs } }, { kind: 'updated' }) : { found };
    }
    if (!wanted.install || (wanted.credential === null && !(await hostServices.answers(host, signal)))) return { found: { kind: host.state === 'enrolled' ? 'in place' : 'missing' } };
    if (distribution.at === null) throw noDepot({});
    return await begin({ kind: 'deploy', wish: { credential: wanted.credential, package: null } }, { kind: 'installed' });
  }

  return {
    async bring(id: string, wanted: ServicesWanted, context: FlowContext, signal: AbortSignal): Promise<ServicesFound> {
      for (let round = 1; ; round++) {
        const host = await hosts.find(id);
        const decided = await context.note(`services ${round}: ${id}`, async () => await decide(host, wanted, signal));
        if ('found' in decided) return decided.found;
        const { change, brings } = decided;
        await context.tell(`${host.name}: session ${change.session} ${change.kind === 'opened' ? `sees that its services are ${brings.kind}` : 'changes its services, and is waited for'}`);
        await hostChanges.ended(change, context, signal);
        if (change.kind === 'opened') return brings;
      }
    },
  };
}
