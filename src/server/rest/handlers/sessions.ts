import { sessionEvent } from '../../../contract/sessions.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type SessionRoutes = 'session.list' | 'session.show' | 'session.log' | 'session.stop' | 'session.retry';

export function sessionHandlers({ engine, catalog, sets, viewSession }: Services): Pick<Handlers, SessionRoutes> {
  return {
    'session.list': async ({ query }) => {
      const { set, ...filter } = query;
      const rows = await catalog.sessions.list({ ...filter, setId: set === undefined ? undefined : (await sets.find(set)).id });
      return { sessions: await Promise.all(rows.map(viewSession)) };
    },
    'session.show': async ({ params }) => await viewSession(await engine.find(params.session)),
    'session.log': async ({ params, query }) => {
      const { id } = await engine.find(params.session);
      const rows = await catalog.sessions.events(id, query.after, query.limit);
      return { events: rows.map(({ number, at_ms, event }) => sessionEvent.parse({ number, atMs: at_ms, event: JSON.parse(event) })) };
    },
    'session.stop': async ({ params }) => await viewSession(await engine.stop(params.session)),
    'session.retry': async ({ params }) => await viewSession(await engine.retry(params.session)),
  };
}
