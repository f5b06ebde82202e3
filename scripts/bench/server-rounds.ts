/**
 * What a server does each minute, or is asked by people and by Prometheus, with ten thousand policies of one set each: the rounds themselves, on
 * the catalog alone. Of each the time it takes, and how long nothing else had its turn meanwhile.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { policyDocument, type PolicyDocument } from '../../src/contract/policies.ts';
import type { Discovered, PointSummary } from '../../src/contract/values.ts';
import type { Archives } from '../../src/server/archives.ts';
import type { Links } from '../../src/server/links.ts';
import { openOplogStandings } from '../../src/server/oplog-standings.ts';
import { openPoints } from '../../src/server/points.ts';
import { openPolicies } from '../../src/server/policies.ts';
import { documentOf } from '../../src/server/policy-objects.ts';
import { openPolicyPromises } from '../../src/server/policy-promises.ts';
import { openPolicyWork } from '../../src/server/policy-sessions.ts';
import { metricsText } from '../../src/server/telling/metrics.ts';
import { openProtectionWatch } from '../../src/server/telling/protection-watch.ts';
import { openReports } from '../../src/server/telling/reports.ts';
import { openSetReading } from '../../src/server/telling/set-reading.ts';
import { openVerificationRound } from '../../src/server/verification-scheduler.ts';
import type { Verifications } from '../../src/server/verifications.ts';

const times = 5;
const pointsOfSet = 7;
const hourMs = 3_600_000;

/** Of policy N, with set N in it. */
export const policyOf = (n: string): PolicyDocument => policyDocument.parse({ name: `policy-${n}`, sets: [`set${n}`], schedule: { kind: 'daily', at: '02:30' }, timeZone: 'Europe/Copenhagen' });

const members = [1, 2, 3].map((id) => ({ id, host: `db${id}.example`, port: 27017, state: id === 1 ? ('primary' as const) : ('secondary' as const), health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 0, isArbiter: false }));
const found = {
  setId: 'SET', name: 'rs', mongoVersion: '6.0.5', featureCompatibilityVersion: '6.0', members,
  local: members.map(({ host, port }) => ({ member: `${host}:${port}`, host, dbPath: '/var/lib/mongodb', fileSystem: 'xfs', methods: [{ method: 'clone', possible: true, why: 'the checkpoint is held while its files are read' }], binary: '/usr/bin/mongod' })),
} satisfies Record<keyof Discovered, unknown>;
const point = {
  id: 'POINT', setId: 'SET', setName: 'rs', createdAtMs: 0, checkpoint: { t: 1_790_000_000, i: 1 }, top: { t: 1_790_000_000, i: 2, term: 1 }, method: 'clone', copied: 'incremental', source: 'db2.example:27017', mongoVersion: '6.0.5', featureCompatibilityVersion: '6.0',
  chain: 'c1', bytes: { processed: 1e9, read: 1e8, transferred: 1e7, stored: 1e7 }, files: 200, proof: { level: 'open', atMs: 1_790_000_100_000, ok: true, says: 'it opened, and 12 collections were read' }, proofsAtMs: [1_790_000_100_000], copiedFrom: null,
} satisfies Record<keyof PointSummary, unknown>;
const standing = { state: 'following', chain: 'c1', through: { t: 1_790_200_000, i: 1, term: 1 }, committed: null, says: null, session: null };

/** Sets with their points, and what is kept of each; `series` is numbers from 0. */
export function setsAndPoints(series: (to: number) => string, policies: number, nowMs: number): string {
  const { verification, timeZone } = policyOf('0');
  const madeMs = `${nowMs} - ${hourMs} * (1 + 24 * (n % ${pointsOfSet}))`;
  return `
    insert into repositories (id, name, host, location, sealed_passphrase, sealed_key, is_default, added_ms) values ('r1', 'r1', 'local', '{}', '', '', 1, 1);
    insert into sets (id, name, repository, sealed_target, sign_in, hosts, discovered, added_ms, refreshed_ms) select 'set' || n, 'rs' || n, 'r1', '', 'none', '[]', '${JSON.stringify(found)}', 1, 1 from ${series(policies)};
    insert into points (id, set_id, repository, created_ms, summary, lost) select 'point' || n, 'set' || (n / ${pointsOfSet}), 'r1', ${madeMs}, replace('${JSON.stringify(point)}', '"createdAtMs":0', '"createdAtMs":' || (${madeMs})), 0 from ${series(policies * pointsOfSet)};
    insert into oplog_standings (set_id, standing, at_ms) select 'set' || n, '${JSON.stringify(standing)}', ${nowMs} from ${series(policies)};
    insert into policy_objects (object, policy) select 'set' || n, 'p' || n from ${series(policies)};
    insert into verifications (policy, set_id, schedule, counts_from_ms, outcome) select 'p' || n, 'set' || n, '${JSON.stringify([verification.schedule, timeZone])}', ${nowMs}, null from ${series(policies)};
  `;
}

export async function timeRounds(catalog: Catalog, nowMs: number, note: (what: string, ms: number) => void): Promise<void> {
  const clock: Clock = { ...systemClock, now: () => nowMs };
  const nobody = async (): Promise<never> => await Promise.reject(new Error('no session is to be begun'));
  const points = openPoints({ catalog, archives: {} as Archives });
  const policies = openPolicyPromises({ catalog, clock });
  const standings = openOplogStandings(catalog, clock);
  const reports = () => openReports({ catalog, points, standings, clock, server: () => '', reading: openSetReading({ catalog, policies, standings }) });
  const watch = openProtectionWatch({ catalog, reports: reports(), clock, log: silentLog });
  const verify = openVerificationRound({ catalog, clock, log: silentLog, signal: new AbortController().signal, verifications: { start: nobody } as unknown as Verifications });
  const links = { standing: () => undefined } as unknown as Links;
  const listed = openPolicies({ catalog, clock });
  const work = () => openPolicyWork({ catalog, wake: () => {}, engine: { start: nobody, stop: nobody, ended: nobody }, sets: { find: nobody }, alarms: { asking: nobody, look: () => {} }, points, placement: { near: nobody, leftOut: async () => await Promise.resolve([]), ofMember: (of, member) => of.local.find((one) => one.member === member)?.host ?? '' } });
  const all = await catalog.policies.list();

  await time('verification_round', verify, note);
  await time('protection_watch', async () => await watch.look(), note);
  await time('metrics', async () => await metricsText({ catalog, reports: reports(), links, about: { version: '1', startedAtMs: 1 } }), note);
  const kept = reports();
  await metricsText({ catalog, reports: kept, links, about: { version: '1', startedAtMs: 1 } });
  await time('metrics_again', async () => await metricsText({ catalog, reports: kept, links, about: { version: '1', startedAtMs: 1 } }), note);
  await time('policy_list', async () => await listed.viewAll(), note);
  const asked = all.map((row) => ({ policy: documentOf(row), set: documentOf(row).sets[0]! }));
  await time('places_of_all', async () => await work().places(asked), note);
  const again = work();
  await again.places(asked);
  await time('places_again', async () => await again.places(asked), note);
}

/** At the median; and the longest that nothing else had its turn in any of them. */
async function time(what: string, work: () => Promise<unknown>, note: (what: string, ms: number) => void): Promise<void> {
  const took: number[] = [];
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  for (let n = 0; n < times; n++) {
    await wait(20);
    stalls.enable();
    const from = performance.now();
    await work();
    took.push(performance.now() - from);
    // The stall that the end of the work is in is told a moment later.
    await wait(5);
    stalls.disable();
  }
  note(what, took.sort((a, b) => a - b)[Math.floor(times / 2)]!);
  note(`${what}_stall`, stalls.max / 1e6);
}
