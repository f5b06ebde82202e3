/**
 * The hosts that work for this server (docs/design/hosts.md): expected with a token, enrolled with a certificate, removed with
 * all their serials. A host may have a transport, a deployer or both; each enrols by itself. `local` is the machine the server runs on; its certificate is kept by files, not by enrolment.
 */
import { randomBytes } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Clock } from '../base/clock.ts';
import { ownPlatform, type HostPlatform } from '../base/host-platform.ts';
import { sortableId } from '../base/ids.ts';
import type { EnrolledPart } from '../contract/enrolment.ts';
import type { Host, HostKit, HostLimits, HostWish } from '../contract/routes/hosts.ts';
import { usualCopies } from '../domain/policy-run.ts';
import type { Admission } from './admission.ts';
import { limitsOf } from './bandwidth.ts';
import type { Distribution } from './distribution.ts';
import { hostBusy, hostExists, hostIsLocal, takesNoHosts, hostUnknown } from './failures.ts';
import { gatewaysOf } from './gateways.ts';
import type { Links } from './links.ts';
import type { ServiceVersions } from './service-versions.ts';
import { hashOf } from './sign-in.ts';

export const localHost = 'local';
const tokenLivesMs = 24 * 3_600_000;

/** Where hosts reach this server, as they are told. */
export type Announced = { readonly address: string; readonly enrolmentPort: number; readonly controlPort: number; readonly fingerprint: string };

export type Hosts = ReturnType<typeof openHosts>;

export type HostChange = Partial<Pick<HostRow, 'control_port' | 'deployer_port' | 'data_from' | 'data_to' | 'single_port'>>;

export function openHosts(options: { catalog: Catalog; links: Links; deployers: Links; admission: Admission; versions: ServiceVersions; distribution: Distribution; clock: Clock; announced: () => Announced | null }) {
  const { catalog, links, deployers, admission, versions, distribution, clock, announced } = options;

  async function find(nameOrId: string): Promise<HostRow> {
    const row = await catalog.hosts.find(nameOrId);
    if (row === undefined) throw hostUnknown({ host: nameOrId });
    return row;
  }

  function view(row: HostRow): Host {
    // A host that has enrolled in this instant has no link yet.
    const says = row.state === 'enrolled' ? 'not dialled yet' : 'it has not enrolled yet';
    const link = links.standing(row.id) ?? { state: 'connecting' as const, says, version: null, isOtherContract: false };
    const deployer = row.deployer_ms === null ? undefined : deployers.standing(row.id);
    return {
      id: row.id,
      name: row.name,
      address: row.address,
      controlPort: row.control_port,
      deployerPort: row.deployer_port,
      dataFrom: row.data_from,
      dataTo: row.data_to,
      singlePort: row.single_port === 1,
      dials: row.dials as Host['dials'],
      platform: row.platform as Host['platform'],
      state: row.state as Host['state'],
      link: link.state,
      says: link.says,
      version: link.version,
      outOfDate: versions.isOutOfDate(row.id, 'tidemark-transport', link) || (deployer !== undefined && versions.isOutOfDate(row.id, 'tidemark-deployer', deployer)),
      deployer: deployer === undefined ? null : { link: deployer.state, says: deployer.says, version: deployer.version },
      limits: limitsOf(row),
      copiesAtOnce: row.copies_at_once ?? usualCopies.host,
      addedAtMs: row.added_ms,
      enrolledAtMs: row.enrolled_ms,
    };
  }

  function requireAnnounced(): Announced {
    const where = announced();
    if (where === null) throw takesNoHosts({});
    return where;
  }

  /** A new one-time token for one service of the host, or for the first that shows it; older ones that were not used open nothing any more. */
  async function kitFor(row: HostRow, part: EnrolledPart | null = null): Promise<HostKit> {
    if (row.id === localHost) throw hostIsLocal({});
    const { address, enrolmentPort, controlPort, fingerprint } = requireAnnounced();
    const token = `te_${randomBytes(32).toString('base64url')}`;
    const expiresAtMs = clock.now() + tokenLivesMs;
    await catalog.hosts.expect(row.id, part, hashOf(token), expiresAtMs);
    // A transport needs no key, so a kit is made without one rather than not at all.
    const packageKey = distribution.at === null ? null : await distribution.key().catch(() => null);
    return {
      kind: 'tidemark-kit',
      host: row.name,
      part,
      server: { address, enrolmentPort, controlPort },
      fingerprint,
      token,
      expiresAtMs,
      dials: row.dials as HostKit['dials'],
      listen: { address: row.address, port: row.control_port },
      packageKey,
    };
  }

  async function demandUnused(row: HostRow): Promise<void> {
    if (row.id === localHost) throw hostIsLocal({});
    const repository = (await catalog.repositories.list()).find(({ host }) => host === row.id);
    if (repository !== undefined) throw hostBusy({ host: row.name, why: `repository ${repository.name} is on it` });
    const behind = (await catalog.repositories.list()).find((each) => gatewaysOf(each).through.includes(row.id));
    if (behind !== undefined) throw hostBusy({ host: row.name, why: `repository ${behind.name} is reached through it` });
    const task = (await catalog.sessions.openTasks()).find(({ host }) => host === row.id);
    if (task !== undefined) throw hostBusy({ host: row.name, why: `session ${task.session} is at work there` });
  }

  return {
    find,
    view,
    kitFor,
    list: async (): Promise<HostRow[]> => await catalog.hosts.list(),

    async add(wish: HostWish): Promise<{ host: HostRow; kit: HostKit }> {
      requireAnnounced();
      const known = await catalog.hosts.list();
      const same = known.find((row) => row.name === wish.name || (row.address === wish.address && row.control_port === wish.controlPort));
      if (same !== undefined) throw hostExists({ name: wish.name, known: same.name, address: `${same.address}:${same.control_port}` });
      const row: HostRow = {
        id: sortableId(clock),
        name: wish.name,
        address: wish.address,
        control_port: wish.controlPort,
        deployer_port: wish.deployerPort,
        data_from: wish.dataFrom,
        data_to: wish.dataTo,
        single_port: 0,
        dials: wish.dials,
        state: 'expected',
        added_ms: clock.now(),
        enrolled_ms: null,
        deployer_ms: null,
        platform: wish.platform,
        pushed_ms: null,
        copies_at_once: null,
        limits: '[]',
      };
      await catalog.hosts.add(row);
      return { host: row, kit: await kitFor(row) };
    },

    demandUnused,

    /** Its certificates open nothing from the moment this resolves. What works there for us is in the way. */
    async remove(row: HostRow): Promise<void> {
      await demandUnused(row);
      await catalog.hosts.remove(row.id, clock.now());
      await admission.refresh();
      await Promise.all([links.drop(row.id), deployers.drop(row.id)]);
    },

    /** Its transport is gone with all it had: the certificate opens nothing, and a transport is expected again. */
    async forgetTransport(row: HostRow): Promise<void> {
      await catalog.hosts.removePart(row.id, 'transport', clock.now());
      await admission.refresh();
      await links.drop(row.id);
    },

    /** What it runs, as it says itself or a first contact has found: that counts more than what it was added with. Hosts of before say nothing. */
    async learn(id: string, platform: HostPlatform | undefined): Promise<void> {
      const row = await catalog.hosts.find(id);
      if (row !== undefined && platform !== undefined && row.platform !== platform) await catalog.hosts.update(id, { platform });
    },

    /** From now on the ports of a push belong to it. */
    async pushed(id: string): Promise<void> {
      await catalog.hosts.update(id, { platform: 'windows', pushed_ms: clock.now() });
    },

    /** What a service of the host has changed to; its link is opened anew where that is another port. */
    async change(id: string, change: HostChange): Promise<HostRow> {
      await catalog.hosts.update(id, change);
      const row = await find(id);
      if (change.control_port !== undefined && row.state === 'enrolled') await links.open(row);
      if (change.deployer_port !== undefined && row.deployer_ms !== null) await deployers.open(row);
      return row;
    },

    async setLimits(row: HostRow, { limits, copiesAtOnce }: HostLimits): Promise<HostRow> {
      const change = { ...(limits !== undefined && { limits: JSON.stringify(limits) }), ...(copiesAtOnce !== undefined && { copies_at_once: copiesAtOnce }) };
      if (Object.keys(change).length > 0) await catalog.hosts.update(row.id, change);
      return await find(row.id);
    },

    /** The server's own machine, as the program that runs both parts has placed it. */
    async placeLocal(address: { host: string; port: number }): Promise<HostRow> {
      const known = await catalog.hosts.find(localHost);
      if (known === undefined) {
        await catalog.hosts.add({ id: localHost, name: localHost, address: address.host, control_port: address.port, deployer_port: 6160, data_from: 2500, data_to: 3300, single_port: 0, dials: 'server', state: 'enrolled', added_ms: clock.now(), enrolled_ms: clock.now(), deployer_ms: null, platform: ownPlatform, pushed_ms: null, copies_at_once: null, limits: '[]' });
      } else await catalog.hosts.update(localHost, { address: address.host, control_port: address.port });
      return await find(localHost);
    },
  };
}
