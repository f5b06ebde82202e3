import type { PublicationRow } from '../../../catalog/publications.ts';
import { sortableId } from '../../../base/ids.ts';
import type { Publication } from '../../../contract/routes/restores.ts';
import { clusterTime } from '../../../contract/values.ts';
import { liveSetUnknown } from '../../copy-failures.ts';
import { membersUnfit, publicationUnknown } from '../../failures.ts';
import type { PublishWish } from '../../flows/publish.ts';
import type { RestoreCollectionsWish } from '../../flows/restore-collections.ts';
import type { RestoreSetWish } from '../../flows/restore-set.ts';
import type { Services } from '../../services.ts';
import { setArchive } from '../../set-archive.ts';
import type { Handlers } from '../app.ts';
import { startOnSet } from './sets.ts';

type RestoreRoutes = 'restore.set' | 'restore.collections' | 'publication.start' | 'publication.list' | 'publication.show' | 'publication.stop';

const listedForMs = 86_400_000;

/** What no host can see by itself: whether the members, wherever they are, can be one set. */
function requireFit(members: readonly { host: string; port: number; node: string }[]): void {
  const seen = new Set<string>();
  const isSpread = new Set(members.map(({ node }) => node)).size > 1;
  for (const { host, port } of members) {
    const address = `${host}:${port}`;
    if (seen.has(address)) throw membersUnfit({ why: `two members are to have the address ${address}` });
    seen.add(address);
    if (isSpread && /^(localhost|127\.|::1$|\[::1\]$)/.test(host)) throw membersUnfit({ why: `members on several hosts do not reach each other at ${address}` });
  }
}

export function restoreHandlers(services: Services): Pick<Handlers, RestoreRoutes> {
  const { moments, catalog, clock, engine } = services;

  async function find(id: string): Promise<PublicationRow> {
    const row = await catalog.publications.find(id);
    if (row === undefined) throw publicationUnknown({ publication: id });
    return row;
  }

  async function view(row: PublicationRow): Promise<Publication> {
    const session = await engine.find(row.session);
    const hasEnded = session.ended_ms !== null;
    return {
      id: row.id,
      set: row.set_name,
      point: row.point,
      at: clusterTime.parse(JSON.parse(row.at)),
      state: hasEnded ? 'ended' : (row.state as Publication['state']),
      startedAtMs: row.started_ms,
      expiresAtMs: row.expires_ms,
      endedAtMs: session.ended_ms,
      uri: hasEnded ? null : row.uri,
      says: row.says,
      session: row.session,
    };
  }

  return {
    'restore.set': async ({ params, body }) => {
      const set = await setArchive(params.set, body.repository, services);
      const { point, at, says } = await moments.choose(set, body.at);
      const setName = body.name ?? set.replicaSet;
      const members = await Promise.all(body.members.map(async ({ node, ...member }) => ({ ...member, node: (await services.hosts.find(node ?? body.node)).id })));
      requireFit(members);
      const wish: RestoreSetWish = { repository: set.repository, setId: set.id, point, at, setName, members, start: body.start, apply: body.apply };
      return await startOnSet(services, set, { kind: 'restore-set', wish, reason: body.reason, says });
    },

    'restore.collections': async ({ params, body }) => {
      const set = await setArchive(params.set, body.repository, services);
      if (set.set === undefined && body.into === undefined) throw liveSetUnknown({ set: set.name });
      const { point, at, says } = await moments.choose(set, body.at);
      const wish: RestoreCollectionsWish = { repository: set.repository, setId: set.id, point, at, namespaces: body.namespaces, into: body.into ?? null, existing: body.existing, apply: body.apply };
      return await startOnSet(services, set, { kind: 'restore-collections', wish, reason: body.reason, says });
    },

    'publication.start': async ({ params, body }) => {
      const set = await setArchive(params.set, body.repository, services);
      const { point, at, says } = await moments.choose(set, body.at);
      const id = sortableId(clock);
      const expiresAtMs = clock.now() + body.expiresSeconds * 1000;
      const wish: PublishWish = { publication: id, repository: set.repository, setId: set.id, point, at, port: body.port, expiresAtMs, withUsers: body.withUsers };
      const row = { id, set_id: set.id, set_name: set.name, point, at: JSON.stringify(at), started_ms: clock.now(), expires_ms: expiresAtMs, state: 'starting', uri: null, says: null };
      // Its flow writes into this row, so the row is there first.
      await startOnSet(services, set, { kind: 'publish', wish, reason: body.reason, says }, async (session) => await catalog.publications.add({ ...row, session }));
      return await view(await find(id));
    },

    'publication.list': async () => ({ publications: await Promise.all((await catalog.publications.list(clock.now() - listedForMs)).map(view)) }),
    'publication.show': async ({ params }) => await view(await find(params.publication)),
    'publication.stop': async ({ params }) => {
      const row = await find(params.publication);
      if ((await engine.find(row.session)).ended_ms === null) await engine.stop(row.session);
      return await view(await find(row.id));
    },
  };
}
