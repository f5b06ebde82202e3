/** What Prometheus is told; the names are those of docs/design/metrics.md. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { SetStanding } from '../../contract/reports.ts';
import { endStates } from '../../contract/sessions.ts';
import { expositionOf, type Metric } from '../../domain/exposition.ts';
import { standingHostAlarms } from '../host-alarms.ts';
import type { Links } from '../links.ts';
import { readSinceBy } from '../rereads.ts';
import type { Reports } from './reports.ts';

type Sample = Metric['samples'][number];

export async function metricsText({ catalog, reports, links, about }: { catalog: Catalog; reports: Reports; links: Links; about: { version: string; startedAtMs: number } }): Promise<string> {
  const sets = await reports.recent();
  const of = (value: (standing: SetStanding) => number | null): Sample[] => sets.flatMap((standing) => {
    const found = value(standing);
    return found === null ? [] : [{ labels: { set: standing.set }, value: found }];
  });
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({ name: `tidemark_${name}`, help, type: 'gauge', samples });
  const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({ name: `tidemark_${name}`, help, type: 'counter', samples });

  const sessions = (await catalog.sessions.counts()).map(({ kind, state, count }) => ({ isOpen: state === 'waiting' || state === 'working', labels: { kind, state }, value: count }));
  // For Prometheus a counter that appears with its first failure has not risen: the ends of backups are there from the start.
  const unseen = [...endStates].filter((state) => !sessions.some(({ labels }) => labels.kind === 'backup' && labels.state === state)).map((state) => ({ labels: { kind: 'backup', state }, value: 0 }));
  const notifications = await catalog.notifications.list();
  const waiting = new Map((await catalog.news.waiting()).map(({ notification, count }) => [notification, count]));
  const hosts = (await catalog.hosts.list()).filter(({ state }) => state === 'enrolled');
  const alarms = await standingHostAlarms(catalog);
  const readings = await readingsOf(catalog);
  const told = (value: (row: (typeof notifications)[number]) => number): Sample[] => notifications.map((row) => ({ labels: { notification: row.name }, value: value(row) }));

  return expositionOf([
    gauge('build_info', 'The version of the server; always 1.', [{ labels: { version: about.version }, value: 1 }]),
    gauge('start_time_seconds', 'Since when the server runs.', [{ value: about.startedAtMs / 1000 }]),
    gauge('set_protected', 'Whether the set keeps its promise.', of(({ isProtected }) => Number(isProtected))),
    gauge('set_last_point_timestamp_seconds', 'When the newest good restore point was made.', of(({ lastPointAtMs }) => (lastPointAtMs === null ? null : lastPointAtMs / 1000))),
    gauge('set_last_verified_timestamp_seconds', 'When a restore point was proved last.', of(({ verified }) => (verified === null ? null : verified.atMs / 1000))),
    gauge('set_last_full_verification_timestamp_seconds', 'When a moment of the set was verified in full last.', of(({ fullyVerified }) => (fullyVerified === null ? null : fullyVerified.atMs / 1000))),
    gauge('set_full_verification_good', 'Whether the last full verification found nothing bad.', of(({ fullyVerified }) => (fullyVerified === null ? null : Number(fullyVerified.ok)))),
    gauge('set_own_checks', 'Own checks that the last full verification asked.', of(({ fullyVerified }) => fullyVerified?.checks ?? null)),
    gauge('set_own_checks_failed', 'Own checks that did not hold in the last full verification.', of(({ fullyVerified }) => fullyVerified?.failed.length ?? null)),
    gauge('set_loss_if_disaster_seconds', 'How much would be lost if the set were lost now.', of(({ lossIfDisasterNowSeconds }) => lossIfDisasterNowSeconds)),
    gauge('set_promised_loss_seconds', 'How much may be lost.', of(({ promisedLossSeconds }) => promisedLossSeconds)),
    gauge('set_oplog_following', 'Whether the oplog is followed, or taken every so many minutes as it is to be.', of(({ oplogState }) => Number(oplogState === 'following' || oplogState === 'resting'))),
    gauge('set_points', 'Good restore points.', of(({ points }) => points)),
    gauge('set_point_bytes', 'Bytes that the newest restore point holds.', of(({ bytes }) => bytes)),
    gauge('set_alarms_open', 'Alarms that no backup has answered yet.', of(({ alarmsOpen }) => alarmsOpen)),
    gauge('sessions_open', 'Sessions that wait or work.', sessions.filter(({ isOpen }) => isOpen)),
    counter('sessions_ended_total', 'Sessions that have ended.', [...sessions.filter(({ isOpen }) => !isOpen), ...unseen]),
    gauge('host_connected', 'Whether orders reach the host.', hosts.map(({ id, name }) => ({ labels: { host: name }, value: Number(links.standing(id)?.state === 'connected') }))),
    gauge('host_alarms_open', 'Alarms of the warden of the host that still stand.', hosts.map(({ name }) => ({ labels: { host: name }, value: alarms.filter(({ host }) => host === name).length }))),
    gauge('repository_read_since_timestamp_seconds', 'Since when every object of the repository was read at least once.', readings.flatMap(({ labels, sinceMs }) => (sinceMs === null ? [] : [{ labels, value: sinceMs / 1000 }]))),
    gauge('repository_promised_read_seconds', 'Within how long every object of the repository is to be read.', readings.map(({ labels, days }) => ({ labels, value: days * 86_400 }))),
    gauge('notification_waiting', 'News that the notification has not heard yet.', told(({ id }) => waiting.get(id) ?? 0)),
    counter('notification_told_total', 'News that the notification has heard.', told((row) => row.told)),
    counter('notification_given_up_total', 'News that could not be told.', told(({ given_up }) => given_up)),
  ]);
}

type Reading = { readonly labels: { readonly repository: string }; readonly days: number; /** Null while some part was not read yet. */ readonly sinceMs: number | null };

/** Of repositories that are re-read. */
async function readingsOf(catalog: Catalog): Promise<Reading[]> {
  const names = new Map((await catalog.repositories.list()).map(({ id, name }) => [id, name]));
  return (await catalog.rereads.list()).flatMap((row) => {
    const name = names.get(row.repository);
    return name === undefined || row.days === 0 ? [] : [{ labels: { repository: name }, days: row.days, sinceMs: readSinceBy(row) }];
  });
}
