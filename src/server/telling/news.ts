/** A row of news, made into what a rule looks at and what a receiver is told. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { HostAlarmRow } from '../../catalog/host-alarms.ts';
import type { NewsRow } from '../../catalog/news.ts';
import type { SessionRow } from '../../catalog/sessions.ts';
import type { Severity, Told } from '../../contract/notifications.ts';
import { sessionResult } from '../../contract/sessions.ts';
import type { RuleNews } from '../../domain/notification-rule.ts';
import { wireFailure } from '../../contract/values.ts';
import { isTriedAgainSoon, whatFollows } from '../alarms.ts';
import { locationOf } from '../archives.ts';
import type { PolicyPromises } from '../policy-promises.ts';
import { withoutNewBase } from '../policy-wish.ts';
import { reportHtml } from './report-html.ts';
import type { Reports } from './reports.ts';

export type Message = { readonly told: Told; readonly html: string | null };

const dayMs = 86_400_000;
const severityOf: Readonly<Record<string, Severity>> = { success: 'info', warning: 'warning', failed: 'error', stopped: 'notice' };

/** As far as the news itself tells: of a report of the day, which has to be made for that, the worst it may be. `ended`: how its session did. */
export function severityAtMost({ kind, ended }: { readonly kind: string; readonly ended: string | null }): Severity {
  if (kind === 'session') return severityOf[ended ?? ''] ?? 'info';
  return kind === 'protected' ? 'notice' : kind === 'summary' ? 'error' : 'critical';
}

export type NewsReader = ReturnType<typeof openNewsReader>;

export function openNewsReader({ catalog, reports, policies, server }: { catalog: Catalog; reports: Reports; policies: PolicyPromises; server: () => string }) {
  /** A backup that answers an alarm is made again while the alarm is open, the first times soon, unless policies want no new base. */
  const forAlarm = async (session: SessionRow): Promise<boolean> => {
    if (session.kind !== 'backup' || session.set_id === null) return false;
    const open = (await catalog.sets.unsettledAlarms()).filter(({ set_id, raised_ms }) => set_id === session.set_id && raised_ms <= session.created_ms);
    if (open.length === 0 || (await withoutNewBase(session.set_id, catalog)).length > 0) return false;
    for (const alarm of open) {
      // What was begun since says nothing of this one.
      const tries = (await catalog.sessions.backupsSince(alarm.set_id, alarm.raised_ms, session.created_ms)).filter(({ id }) => id <= session.id);
      if (isTriedAgainSoon(tries)) return true;
    }
    return false;
  };

  async function namesOfSet(id: string): Promise<string[]> {
    const [set, inGroup] = [await catalog.sets.find(id), (await catalog.groups.allSets()).find(({ set_id }) => set_id === id)];
    const group = inGroup === undefined ? undefined : (await catalog.groups.list()).find((one) => one.id === inGroup.group_id);
    return [...(set === undefined ? [] : [`set:${set.name}`]), ...(group === undefined ? [] : [`group:${group.name}`])];
  }

  async function ofSession(row: NewsRow, session: SessionRow): Promise<Message> {
    const report = await reports.ofSession(session);
    const failed = session.failure === null ? null : wireFailure.parse(JSON.parse(session.failure));
    const made = session.result === null ? undefined : sessionResult.parse(JSON.parse(session.result));
    const lines = [...(made?.kind === 'backup' && !made.verified ? [`restore point ${made.point} is NOT PROVED: "tidemark point verify ${made.point}" opens it`] : []), ...(failed === null ? [] : [`${failed.message}  [${failed.code}]`, failed.hint]), ...(session.warnings === 0 ? [] : [`${session.warnings} warnings; "tidemark session show ${session.id}" has them`]), ...standingLines(report.sets)];
    const object = { kind: session.object_kind, name: session.object_name };
    return {
      told: { id: row.id, kind: 'session', atMs: row.at_ms, severity: severityOf[session.state] ?? 'info', title: `${session.kind} of ${session.object_name}: ${session.state}`, lines, server: server(), object, session: { id: session.id, kind: session.kind, state: session.state, failure: failed?.code ?? null }, count: 1, report },
      html: reportHtml(report),
    };
  }

  async function aboutSet(row: NewsRow, setId: string, base: { kind: Told['kind']; severity: Severity; title: (name: string) => string; lines: string[] }): Promise<Message> {
    const set = await catalog.sets.find(setId);
    const name = set?.name ?? setId;
    const standing = set === undefined ? [] : [await reports.standing(set, row.at_ms - dayMs)];
    return { told: { id: row.id, kind: base.kind, atMs: row.at_ms, severity: base.severity, title: base.title(name), lines: [...base.lines, ...standingLines(standing)], server: server(), object: { kind: 'set', name }, session: null, count: 1 }, html: null };
  }

  /** The host, the repositories in that place, and the policies of what is kept there. */
  async function namesOfHostAlarm({ host, place }: HostAlarmRow): Promise<string[]> {
    const inPlace = (await catalog.repositories.list()).filter((one) => {
      const location = locationOf(one);
      return one.host === host && location.kind === 'directory' && location.path === place;
    });
    return [`host:${(await catalog.hosts.find(host))?.name ?? host}`, ...inPlace.map(({ name }) => `repository:${name}`), ...(await policies.namesAbout({ repositories: inPlace.map(({ id }) => id) }))];
  }

  async function ofHostAlarm(row: NewsRow): Promise<Message | undefined> {
    const alarm = await catalog.hostAlarms.find(row.ref);
    if (alarm === undefined) return undefined;
    const name = (await catalog.hosts.find(alarm.host))?.name ?? alarm.host;
    const title = `alarm, warden of ${name}${alarm.place === null ? '' : `, ${alarm.place}`}`;
    const lines = [alarm.says, 'the other files of the host are locked and lifted as ever; "tidemark node list" shows what still stands'];
    return { told: { id: row.id, kind: 'alarm', atMs: row.at_ms, severity: 'critical', title, lines: alarm.place === null ? lines.slice(0, 1) : lines, server: server(), object: { kind: 'host', name }, session: null, count: 1 }, html: null };
  }

  return {
    async forRule(row: NewsRow): Promise<RuleNews | undefined> {
      if (row.kind === 'session') {
        const session = await catalog.sessions.find(row.ref);
        if (session === undefined) return undefined;
        const names = [`${session.object_kind}:${session.object_name}`, ...(session.set_id === null ? [] : await namesOfSet(session.set_id)), ...(await policies.namesOf(session))];
        const willTryAgain = session.state === 'failed' && ((await forAlarm(session)) || (await policies.willTryAgain(session)));
        return { what: session.state, names, willTryAgain };
      }
      const hostAlarm = row.kind === 'alarm' ? await catalog.hostAlarms.find(row.ref) : undefined;
      if (hostAlarm !== undefined) return { what: 'alarm', names: await namesOfHostAlarm(hostAlarm), willTryAgain: false };
      const setId = row.kind === 'alarm' ? (await catalog.sets.alarm(row.ref))?.set_id : row.ref;
      return setId === undefined ? undefined : { what: row.kind, names: [...(await namesOfSet(setId)), ...(await policies.namesAbout({ set: setId }))], willTryAgain: false };
    },

    /** Undefined: what it was about is gone. */
    async message(row: NewsRow): Promise<Message | undefined> {
      if (row.kind === 'session') {
        const session = await catalog.sessions.find(row.ref);
        return session === undefined ? undefined : await ofSession(row, session);
      }
      if (row.kind === 'alarm') {
        const alarm = await catalog.sets.alarm(row.ref);
        return alarm === undefined ? await ofHostAlarm(row) : await aboutSet(row, alarm.set_id, { kind: 'alarm', severity: 'critical', title: (name) => `alarm, ${name}: ${alarm.what}`, lines: [alarm.says, whatFollows((await catalog.sets.find(alarm.set_id))?.name ?? alarm.set_id, await withoutNewBase(alarm.set_id, catalog))] });
      }
      if (row.kind === 'unprotected') return await aboutSet(row, row.ref, { kind: 'unprotected', severity: 'critical', title: (name) => `${name} is not protected as promised`, lines: [] });
      if (row.kind === 'protected') return await aboutSet(row, row.ref, { kind: 'protected', severity: 'notice', title: (name) => `${name} is protected again`, lines: [] });
      const report = await reports.daily(row.at_ms - dayMs, row.at_ms);
      const bad = report.sets.filter(({ isProtected }) => !isProtected);
      const failed = report.sessions.filter(({ state }) => state === 'failed').length;
      const title = `daily report: ${report.sets.length - bad.length} of ${report.sets.length} sets protected, ${report.sessions.length} sessions, ${failed} failed`;
      return { told: { id: row.id, kind: 'summary', atMs: row.at_ms, severity: bad.length > 0 ? 'error' : 'info', title, lines: standingLines(report.sets), server: server(), object: null, session: null, count: 1, report }, html: reportHtml(report) };
    },
  };
}

function standingLines(sets: readonly { set: string; isProtected: boolean; reasons: readonly string[] }[]): string[] {
  return sets.map(({ set, isProtected, reasons }) => (isProtected ? `${set} is protected` : `${set} is NOT protected: ${reasons.join('; ')}`));
}
