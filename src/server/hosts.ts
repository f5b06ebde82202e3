/**
 * The hosts that work for this server (docs/design/hosts.md): expected with a token, enrolled with a certificate, removed with
 * all their serials. `local` is the machine the server runs on; its certificate is kept by files, not by enrolment.
 */
import { randomBytes } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import type { Host, HostKit, HostWish } from '../contract/routes/hosts.ts';
import type { Admission } from './admission.ts';
import { hostBusy, hostExists, hostIsLocal, hostUnknown } from './failures.ts';
import type { Links } from './links.ts';
import { hashOf } from './sign-in.ts';

export const localHost = 'local';
const tokenLivesMs = 24 * 3_600_000;

/** Where hosts reach this server, as they are told. */
export type Announced = { readonly address: string; readonly enrolmentPort: number; readonly controlPort: number; readonly fingerprint: string };

export type Hosts = ReturnType<typeof openHosts>;

export function openHosts(options: { catalog: Catalog; links: Links; admission: Admission; clock: Clock; announced: () => Announced }) {
  const { catalog, links, admission, clock, announced } = options;

  async function find(nameOrId: string): Promise<HostRow> {
    const row = await catalog.hosts.find(nameOrId);
    if (row === undefined) throw hostUnknown({ host: nameOrId });
    return row;
  }

  function view(row: HostRow): Host {
    // A host that has enrolled in this instant has no link yet.
    const known = links.all().find(({ id }) => id === row.id);
    const link = known?.standing() ?? { state: 'connecting' as const, says: row.state === 'enrolled' ? 'not dialled yet' : 'it has not enrolled yet' };
    return {
      id: row.id,
      name: row.name,
      address: row.address,
      controlPort: row.control_port,
      deployerPort: row.deployer_port,
      dataFrom: row.data_from,
      dataTo: row.data_to,
      dials: row.dials as Host['dials'],
      state: row.state as Host['state'],
      link: link.state,
      says: link.says,
      serviceVersion: known?.version() ?? null,
      addedAtMs: row.added_ms,
      enrolledAtMs: row.enrolled_ms,
    };
  }

  /** A new one-time token for the host; older ones that were not used open nothing any more. */
  async function kitFor(row: HostRow): Promise<HostKit> {
    if (row.id === localHost) throw hostIsLocal({});
    const token = `te_${randomBytes(32).toString('base64url')}`;
    const expiresAtMs = clock.now() + tokenLivesMs;
    await catalog.hosts.expect(row.id, hashOf(token), expiresAtMs);
    const { address, enrolmentPort, controlPort, fingerprint } = announced();
    return {
      kind: 'tidemark-kit',
      host: row.name,
      server: { address, enrolmentPort, controlPort },
      fingerprint,
      token,
      expiresAtMs,
      dials: row.dials as HostKit['dials'],
      listen: { address: row.address, port: row.control_port },
    };
  }

  return {
    find,
    view,
    kitFor,
    list: async (): Promise<HostRow[]> => await catalog.hosts.list(),

    async add(wish: HostWish): Promise<{ host: HostRow; kit: HostKit }> {
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
        dials: wish.dials,
        state: 'expected',
        added_ms: clock.now(),
        enrolled_ms: null,
      };
      await catalog.hosts.add(row);
      return { host: row, kit: await kitFor(row) };
    },

    /** Its certificates open nothing from the moment this resolves. What works there for us is in the way. */
    async remove(row: HostRow): Promise<void> {
      if (row.id === localHost) throw hostIsLocal({});
      const repository = (await catalog.repositories.list()).find(({ host }) => host === row.id);
      if (repository !== undefined) throw hostBusy({ host: row.name, why: `repository ${repository.name} is on it` });
      const task = (await catalog.sessions.openTasks()).find(({ host }) => host === row.id);
      if (task !== undefined) throw hostBusy({ host: row.name, why: `session ${task.session} is at work there` });
      await catalog.hosts.remove(row.id, clock.now());
      await admission.refresh();
      await links.drop(row.id);
    },

    /** The server's own machine, as the program that runs both parts has placed it. */
    async placeLocal(address: { host: string; port: number }): Promise<HostRow> {
      const known = await catalog.hosts.find(localHost);
      if (known === undefined) {
        await catalog.hosts.add({ id: localHost, name: localHost, address: address.host, control_port: address.port, deployer_port: 6160, data_from: 2500, data_to: 3300, dials: 'server', state: 'enrolled', added_ms: clock.now(), enrolled_ms: clock.now() });
      } else await catalog.hosts.update(localHost, { address: address.host, control_port: address.port });
      return await find(localHost);
    },
  };
}
