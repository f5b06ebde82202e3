import type { VerifyWish } from '../../flows/verify.ts';
import { planDeletion } from '../../point-deletion.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type PointRoutes = 'point.list' | 'point.show' | 'point.verify' | 'point.hold' | 'point.release' | 'point.delete';

export function pointHandlers(services: Services): Pick<Handlers, PointRoutes> {
  const { archives, points, sets, catalog, clock, moments, engine, viewSession } = services;
  const show = async (id: string) => await points.view(await points.find(id));
  return {
    'point.list': async ({ query }) => {
      const setId = query.set === undefined ? undefined : (await sets.find(query.set)).id;
      return { points: await Promise.all((await points.list(setId)).map(points.view)) };
    },
    'point.show': async ({ params }) => await show(params.point),
    'point.verify': async ({ params, body }) => {
      const row = body.repository === undefined ? await points.find(params.point) : await points.findIn((await archives.find(body.repository)).id, params.point);
      const { at, says } = await moments.chooseOn({ id: row.set_id, repository: row.repository }, row.id, body.at);
      const wish: VerifyWish = { repository: row.repository, setId: row.set_id, point: row.id, level: body.level, at, checks: body.level === 'full' ? await services.verifications.checksOf(row.set_id) : [], policy: null };
      return await viewSession(await engine.start({ kind: 'verify', object: { kind: 'point', id: row.id, name: row.id }, setId: row.set_id, lane: null, wish, says }));
    },
    'point.hold': async ({ params, body }) => {
      const { id } = await points.find(params.point);
      await catalog.points.hold(id, body.reason, clock.now());
      return await show(id);
    },
    'point.release': async ({ params }) => {
      const { id } = await points.find(params.point);
      const wasHeld = await catalog.points.release(id);
      return { ...(await show(id)), wasHeld };
    },
    'point.delete': async ({ body }) => await planDeletion([...new Set(body.points)], body.apply, services),
  };
}
