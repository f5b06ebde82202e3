/**
 * The catalog of a large server, on SQLite and on PostgreSQL: 10,000 policies, 100,000 sessions of history with their events, and the runs that they were of.
 * What a server asks all day: the list of sessions as people see it, which policies are due and when the next one is, and the next session to run.
 * And what it does each minute with one set for each policy, of 7 points (server-rounds.ts).
 */
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { openCatalogAt, type Catalog, type CatalogPlace } from '../../src/catalog/catalog.ts';
import { openPostgres } from '../../test/kit/postgres.ts';
import type { Measured, Run } from './run.ts';
import { policyOf, setsAndPoints, timeRounds } from './server-rounds.ts';

const times = 200;
const waiting = 400;
/** A minute's worth, and what runs at the same time. */
const dueAtOnce = 7;
const openRuns = 100;
const dayMs = 86_400_000;
const nowMs = 1_790_200_000_000;

type Counts = { readonly policies: number; readonly sessions: number; readonly events: number };
type Filled = { readonly place: CatalogPlace; execute(statements: string): void };

export async function benchScheduler(run: Run): Promise<Measured> {
  const counts = { policies: Math.round(10_000 * run.scale), sessions: Math.round(100_000 * run.scale), events: Math.round(400_000 * run.scale) };
  const path = join(run.directory, 'catalog.sqlite');
  const sqlite = await measure('sqlite', { place: { kind: 'sqlite', path }, execute: (text) => onSqlite(path, text) }, (to) => `(with recursive s(n) as (select 0 union all select n + 1 from s where n + 1 < ${to}) select n from s) as s`, counts, run);
  const postgres = run.stack.use(await openPostgres());
  const place = postgres.create('scheduler');
  const shared = await measure('postgres', { place, execute: (text) => void postgres.sql(text, 'scheduler') }, (to) => `generate_series(0, ${to - 1}) as s(n)`, counts, run);
  return { ratios: {}, figures: { scale: run.scale, ...counts, ...sqlite, ...shared, peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1024) } };
}

function onSqlite(path: string, text: string): void {
  const database = new DatabaseSync(path);
  database.exec(text);
  database.close();
}

/** Statements that both dialects take; `series` is numbers from 0. */
function history(series: (to: number) => string, { policies, sessions, events }: Counts): string {
  const document = JSON.stringify(policyOf('NUMBER'));
  const kind = "case n % 4 when 0 then 'verify' when 1 then 'oplog-find' else 'backup' end";
  const id = "'01a0' || substr('00000000' || n, -8) || 'abcdef012345'";
  return `
    insert into policies (id, name, document, is_enabled, counts_from_ms, next_ms, follows, added_ms) select 'p' || n, 'policy-' || n, replace('${document}', 'NUMBER', '' || n), 1, 1790000000000, ${nowMs} + ${dayMs / 10_000} * (n - ${dueAtOnce}), null, 1 from ${series(policies)};
    insert into policy_runs (id, policy, state, why, due_ms, missed, skipped, opens_ms, closes_ms, full_read, stopping, added_ms, ended_ms, says) select ${id}, 'p' || n % ${policies}, case when n >= ${sessions - openRuns} then 'open' else 'success' end, 'its schedule', 1790000000000, 0, 0, 1790000000000, null, 0, 0, 1790000000000, 1790000000000, '1 success' from ${series(sessions)};
    insert into policy_parts (run, set_id, set_name, state, attempt, not_before_ms, session, says) select ${id}, 'set' || n % 10000, 'rs', case when n >= ${sessions - openRuns} then 'running' else 'success' end, 0, 1, ${id}, null from ${series(sessions)};
    insert into sessions (id, kind, object_kind, object_id, object_name, set_id, lane, state, stopping, sealed_wish, created_ms, started_ms, ended_ms, warnings, result, server)
      select ${id}, ${kind}, 'set', 'set' || n % 10000, 'rs' || n % 10000, 'set' || n % 10000, null, case n % 10 when 0 then 'failed' else 'success' end, 0, '1.', 1790000000000 + n * 1000, 1790000000000 + n * 1000, 1790000000000 + n * 1000 + 30000, 0, '{}', 'gone' from ${series(sessions)};
    insert into session_events (session, number, at_ms, event) select '01a0' || substr('00000000' || (n / 4), -8) || 'abcdef012345', n % 4 + 1, 1790000000000 + n, '{"kind":"line","level":"info","text":"what was done then, and how it went"}' from ${series(events)};
  `;
}

async function measure(name: 'sqlite' | 'postgres', { place, execute }: Filled, series: (to: number) => string, counts: Counts, run: Run): Promise<Record<string, number>> {
  await (await openCatalogAt(place)).close();
  const text = history(series, counts) + setsAndPoints(series, counts.policies, nowMs);
  execute(name === 'sqlite' ? text : `${text.replaceAll("substr('00000000' || n, -8)", "lpad(n::text, 8, '0')").replaceAll("substr('00000000' || (n / 4), -8)", "lpad((n / 4)::text, 8, '0')")} analyze;`);
  if (name === 'sqlite') execute('analyze');
  await using catalog = await openCatalogAt(place);
  await catalog.servers.register('bench', '1', 3_600_000);
  run.say(`${name}: filled`);
  const figures: Record<string, number> = {};
  const note = (what: string, ms: number): void => {
    figures[`${what}_ms_${name}`] = Math.round(ms * 100) / 100;
    run.say(`${name}: ${what} ${ms.toFixed(2)} ms at the median`);
  };
  note('list', await median(async (n) => void (await catalog.sessions.list(asked(n)))));
  note('next_run', await median(async () => await nextRun(catalog)));
  note('policies', await median(async () => void (await catalog.policies.list()), 20));
  await timeRounds(catalog, nowMs, note);
  // Opened by a server that is gone: each is there to be claimed.
  await open(catalog, waiting);
  await catalog.servers.leave();
  await catalog.servers.register('bench', '1', 3_600_000);
  note('claim', await median(async () => {
    if ((await catalog.sessions.claim(1)).length !== 1) throw new Error('nothing was there to be claimed');
  }));
  return figures;
}

/** As people look: the newest, those of a set, those that failed, those of a kind, and a page further back. */
function asked(n: number): Parameters<Catalog['sessions']['list']>[0] {
  const filters = [{}, { setId: `set${(n * 37) % 10_000}` }, { state: 'failed' }, { kind: 'backup' }, { before: '01a000050000' }];
  return { ...filters[n % filters.length], limit: 50 };
}

/** What a round of the scheduler asks. */
async function nextRun({ policies }: Catalog): Promise<void> {
  const [due, open, nextMs] = [await policies.due(nowMs), await policies.openRuns(), await policies.nextMs()];
  if (due.length === 0 || open.length === 0 || nextMs === null) throw new Error('nothing is due, or nothing is at work');
}

async function open(catalog: Catalog, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await catalog.sessions.open({ id: `02a0${String(n).padStart(8, '0')}abcdef012345`, kind: 'backup', object_kind: 'set', object_id: `set${n}`, object_name: `rs${n}`, set_id: `set${n}`, lane: `backup:set${n}`, sealed_wish: '1.', created_ms: 1, reason: null, retry_of: null });
  }
}

async function median(work: (n: number) => Promise<void>, count = times): Promise<number> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) {
    const from = performance.now();
    await work(n);
    took.push(performance.now() - from);
  }
  return took.sort((a, b) => a - b)[Math.floor(count / 2)]!;
}
