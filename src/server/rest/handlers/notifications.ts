import type { Services } from '../../services.ts';
import { localHost } from '../../hosts.ts';
import { unhealthy } from '../../telling/failures.ts';
import { metricsText } from '../../telling/metrics.ts';
import { reportHtml } from '../../telling/report-html.ts';
import type { Handlers } from '../app.ts';

type NotificationRoutes = 'notification.add' | 'notification.list' | 'notification.test' | 'notification.remove' | 'report.daily' | 'report.session' | 'metrics' | 'health';

export function notificationHandlers({ notifications, reports, teller, engine, catalog, links, clock, about }: Services): Pick<Handlers, NotificationRoutes> {
  return {
    'notification.add': async ({ body }) => await notifications.view(await notifications.add(body.name, body.channel, body.rule)),
    'notification.list': async () => ({ notifications: await Promise.all((await notifications.list()).map(async (row) => await notifications.view(row))) }),
    'notification.test': async ({ params }) => {
      const row = await notifications.find(params.notification);
      return { notification: row.name, ...(await teller.test(row)) };
    },
    'notification.remove': async ({ params }) => {
      const row = await notifications.find(params.notification);
      const shown = await notifications.view(row);
      await notifications.remove(row);
      return shown;
    },
    'report.daily': async ({ query }) => {
      const report = await reports.daily(clock.now() - query.hours * 3_600_000, clock.now());
      return { report, html: query.html ? reportHtml(report) : null };
    },
    'report.session': async ({ params, query }) => {
      const report = await reports.ofSession(await engine.find(params.session));
      return { report, html: query.html ? reportHtml(report) : null };
    },
    metrics: async () => await metricsText({ catalog, reports, links, about: about() }),
    health: async () => {
      const reasons: string[] = [];
      await catalog.settings.get('health').catch(() => reasons.push('the catalog does not answer'));
      const standing = links.standing(localHost);
      if (standing?.state !== 'connected') reasons.push(`its own transport is not connected: ${standing?.says ?? standing?.state ?? 'it has not enrolled'}`);
      if (reasons.length > 0) throw unhealthy({ reasons });
      const { version, startedAtMs } = about();
      return { ok: true, version, startedAtMs };
    },
  };
}
