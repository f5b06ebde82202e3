/** Notifications: channels, sealed where they are kept and never answered, and the rules of what they hear. */
import * as z from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import type { NotificationRow } from '../../catalog/news.ts';
import type { Clock } from '../../base/clock.ts';
import { sortableId } from '../../base/ids.ts';
import { channel, notificationRule, type Channel, type NotificationRule } from '../../contract/notifications.ts';
import type { Notification } from '../../contract/routes/notifications.ts';
import { engineIdFrom } from '../../tell/snmp.ts';
import { receiverOf } from '../../tell/send.ts';
import { copySchedule } from '../../contract/routes/copies.ts';
import { nextCopy } from '../../domain/copy-schedule.ts';
import { ownTimeZone } from '../own-time-zone.ts';
import type { Sealer } from '../sealing.ts';
import { notificationExists, notificationUnfit, notificationUnknown } from './failures.ts';

export type Notifications = ReturnType<typeof openNotifications>;

const usualPerHour: Readonly<Record<Channel['kind'], number>> = { mail: 20, webhook: 600, syslog: 600, snmp: 600 };

const aboutChannel = z.object({
  receiver: z.string(),
  /** Host and port, for the port plan. */
  host: z.string(),
  port: z.int(),
  protocol: z.enum(['udp', 'tcp']),
  /** What is looked for there when ports are checked. */
  service: z.enum(['smtp', 'tcp', 'silent', 'https', 'http']),
  how: z.string(),
});
export type AboutChannel = z.infer<typeof aboutChannel>;

export function openNotifications({ catalog, sealer, clock, fingerprint }: { catalog: Catalog; sealer: Sealer; clock: Clock; fingerprint: () => string }) {
  const placeOf = (id: string): string => `notifications.channel:${id}`;
  const ruleOf = (row: NotificationRow): NotificationRule => notificationRule.parse(JSON.parse(row.rule));
  const aboutOf = (row: NotificationRow): AboutChannel => aboutChannel.parse(JSON.parse(row.about));

  async function find(nameOrId: string): Promise<NotificationRow> {
    const row = await catalog.notifications.find(nameOrId);
    if (row === undefined) throw notificationUnknown({ notification: nameOrId });
    return row;
  }

  async function demandObjects({ about }: NotificationRule): Promise<void> {
    for (const object of about) {
      const [kind, name] = [object.slice(0, object.indexOf(':')), object.slice(object.indexOf(':') + 1)];
      const found = { set: async () => await catalog.sets.find(name), group: async () => await catalog.groups.find(name), repository: async () => await catalog.repositories.find(name), host: async () => (await catalog.hosts.list()).find((host) => host.name === name), policy: async () => await catalog.policies.find(name) }[kind];
      if ((await found?.()) === undefined) throw notificationUnfit({ why: `there is no ${kind} ${name}` });
    }
  }

  return {
    find,
    ruleOf,
    aboutOf,
    list: async (): Promise<NotificationRow[]> => await catalog.notifications.list(),
    channelOf: (row: NotificationRow): Channel => channel.parse(JSON.parse(sealer.open(row.sealed_channel, placeOf(row.id)))),
    engineId: (): string => engineIdFrom(fingerprint()),
    perHourOf: (row: NotificationRow): number => ruleOf(row).perHour ?? usualPerHour[row.kind as Channel['kind']],
    /** When its next summary is due; null: it has none. */
    summaryAtMs(row: NotificationRow): number | null {
      const { dailyAt } = ruleOf(row);
      return dailyAt === undefined ? null : nextCopy(copySchedule.parse({ kind: 'daily', at: dailyAt }), ownTimeZone(), row.summary_from_ms);
    },

    async add(name: string, where: Channel, rule: NotificationRule): Promise<NotificationRow> {
      await demandObjects(rule);
      if (where.kind === 'mail' && where.signIn !== undefined && where.security === 'none') throw notificationUnfit({ why: 'a password is not sent without TLS' });
      const id = sortableId(clock);
      const row: NotificationRow = { id, name, kind: where.kind, about: JSON.stringify(describeChannel(where)), sealed_channel: sealer.seal(JSON.stringify(where), placeOf(id)), rule: JSON.stringify(rule), added_ms: clock.now(), summary_from_ms: clock.now(), told: 0, given_up: 0, says: null };
      if (!(await catalog.notifications.add(row))) throw notificationExists({ name });
      return row;
    },
    remove: async (row: NotificationRow): Promise<void> => await catalog.notifications.remove(row.id),

    async view(row: NotificationRow): Promise<Notification> {
      const waiting = (await catalog.news.waiting()).find(({ notification }) => notification === row.id)?.count ?? 0;
      const { receiver, how } = aboutOf(row);
      return { id: row.id, name: row.name, kind: row.kind as Channel['kind'], receiver, how, rule: ruleOf(row), perHour: this.perHourOf(row), engineId: row.kind === 'snmp' ? this.engineId() : null, addedAtMs: row.added_ms, nextSummaryAtMs: this.summaryAtMs(row), waiting, told: row.told, givenUp: row.given_up, says: row.says };
    },
  };
}

function describeChannel(where: Channel): AboutChannel {
  const receiver = receiverOf(where);
  switch (where.kind) {
    case 'mail':
      return { receiver, host: where.host, port: where.port, protocol: 'tcp', service: where.security === 'tls' ? 'tcp' : 'smtp', how: `${where.security === 'none' ? 'no TLS' : where.security === 'tls' ? 'TLS' : 'STARTTLS'}${where.signIn === undefined ? '' : `, as ${where.signIn.user}`}, to ${where.to.join(', ')}` };
    case 'webhook': {
      const { hostname, port, protocol } = new URL(where.url);
      return { receiver, host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), protocol: 'tcp', service: protocol === 'https:' ? 'https' : 'http', how: 'signed' };
    }
    case 'syslog':
      return { receiver, host: where.host, port: where.port, ...(where.transport === 'udp' ? { protocol: 'udp', service: 'silent' } : { protocol: 'tcp', service: 'tcp' }), how: where.transport.toUpperCase() };
    case 'snmp':
      return { receiver, host: where.host, port: where.port, protocol: 'udp', service: 'silent', how: `${where.version.kind === 'v3' ? `v3, as ${where.version.user}` : 'v2c'}, ${where.inform ? 'informs' : 'traps'}` };
  }
}
