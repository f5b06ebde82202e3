/** Policies: added, changed and shown; what their runs work with is in policy-sessions.ts (docs/design/policies.md). */
import type { Catalog } from '../catalog/catalog.ts';
import type { OpenedRun, PolicyRow, RunRow } from '../catalog/policies.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import type { Policy, PolicyDocument, PolicyRun } from '../contract/policies.ts';
import { isTimeZone } from '../domain/rescan-schedule.ts';
import { nextOpening, nextRun, nextRuns } from '../domain/schedule.ts';
import { orphansOf } from './orphans.ts';
import { effectsOf } from './policy-effects.ts';
import { policyBusy, policyCircle, policyEnabled, policyExists, policyUnfit, policyUnknown } from './policy-failures.ts';
import { documentOf, policyObjects, protectedAmong, protectedBy, type PolicyObjects } from './policy-objects.ts';
import type { Retention } from './retention.ts';

export type Policies = ReturnType<typeof openPolicies>;
/** What the documents of policies name, by ids. */
type Around = { readonly objects: PolicyObjects; readonly groups: Names; readonly policies: Names; readonly hosts: Names };
type Names = ReadonlyMap<string, { readonly name: string }>;
export type PreviewedRun = { readonly atMs: number; /** When its window lets it begin, and has it end; null: no window. */ readonly opensAtMs: number; readonly closesAtMs: number | null };

export function openPolicies({ catalog, clock }: { catalog: Catalog; clock: Clock }) {
  const store = catalog.policies;
  const finders = {
    group: { find: catalog.groups.find, what: 'group', list: 'group' },
    set: { find: catalog.sets.find, what: 'protected set', list: 'set' },
    host: { find: catalog.hosts.find, what: 'host', list: 'node' },
    policy: { find: store.find, what: 'policy', list: 'policy' },
  };
  let wake = (): void => {};

  async function find(nameOrId: string): Promise<PolicyRow> {
    const row = await store.find(nameOrId);
    if (row === undefined) throw policyUnknown({ policy: nameOrId });
    return row;
  }

  /** With ids in place of names, so that a policy keeps its own when another takes the name. `besides`: policies that are added or changed with it. */
  async function kept(given: PolicyDocument, own: PolicyRow | undefined, besides: readonly string[] = []): Promise<PolicyDocument> {
    const problems: string[] = isTimeZone(given.timeZone) ? [] : [`timeZone: "${given.timeZone}" is no time zone; write one such as Europe/Berlin`];
    const had = own === undefined ? new Set() : idsIn(documentOf(own));
    const idOf = async (path: string, kind: keyof typeof finders, name: string): Promise<string> => {
      const { find: findOne, what, list } = finders[kind];
      const found = await findOne(name);
      // What is gone and was in the policy before is no reason to refuse what else is changed.
      if (found === undefined && !had.has(name)) problems.push(`${path}: no ${what} is called ${name}; "tidemark ${list} list" shows those there are`);
      return found?.id ?? name;
    };
    const groups = await Promise.all(given.groups.map(async (name, at) => await idOf(`groups[${at}]`, 'group', name)));
    const sets = await Promise.all(given.sets.map(async (name, at) => await idOf(`sets[${at}]`, 'set', name)));
    const overrides = Object.fromEntries(await Promise.all(Object.entries(given.overrides).map(async ([name, override]) => [await idOf(`overrides.${name}`, 'set', name), override] as const)));
    const hooks = await Promise.all(given.hooks.map(async (hook, at) => ({ ...hook, on: await idOf(`hooks[${at}].on`, 'host', hook.on) })));
    const { schedule } = given;
    const before = schedule.kind === 'after' && !besides.includes(schedule.policy) ? await idOf('schedule.policy', 'policy', schedule.policy) : null;
    if (problems.length > 0) throw policyUnfit({ policy: given.name, problems });
    const document = { ...given, groups, sets, overrides, hooks };
    if (before === null) return document;
    await refuseCircle(given.name, before, own?.id ?? null);
    return { ...document, schedule: { kind: 'after', policy: before } };
  }

  async function refuseCircle(name: string, before: string, own: string | null): Promise<void> {
    for (let at = await store.policy(before); at !== undefined; at = at.follows === null ? undefined : await store.policy(at.follows)) if (at.id === own) throw policyCircle({ policy: name });
  }

  const columns = (document: PolicyDocument) => ({
    name: document.name,
    document: JSON.stringify(document),
    counts_from_ms: clock.now(),
    next_ms: nextRun(document.schedule, document.timeZone, clock.now()),
    follows: document.schedule.kind === 'after' ? document.schedule.policy : null,
  });

  async function around(): Promise<Around> {
    const [groups, policies, hosts, objects] = await Promise.all([catalog.groups.list(), store.list(), catalog.hosts.list(), policyObjects(catalog)]);
    return { objects, groups: byId(groups), policies: byId(policies), hosts: byId(hosts) };
  }

  function named(document: PolicyDocument, { groups, objects: { sets }, policies, hosts }: Around): PolicyDocument {
    const nameIn = (rows: Names, id: string): string => rows.get(id)?.name ?? id;
    return {
      ...document,
      groups: document.groups.map((id) => nameIn(groups, id)),
      sets: document.sets.map((id) => nameIn(sets, id)),
      overrides: Object.fromEntries(Object.entries(document.overrides).map(([id, override]) => [nameIn(sets, id), override])),
      hooks: document.hooks.map((hook) => ({ ...hook, on: nameIn(hosts, hook.on) })),
      ...(document.schedule.kind === 'after' && { schedule: { kind: 'after', policy: nameIn(policies, document.schedule.policy) } }),
    };
  }

  function viewOpened({ run, parts }: OpenedRun): PolicyRun {
    return {
      id: run.id, state: run.state as PolicyRun['state'], why: run.why, dueAtMs: run.due_ms, missed: run.missed, skipped: run.skipped,
      opensAtMs: run.opens_ms, closesAtMs: run.closes_ms, beganAtMs: run.added_ms, endedAtMs: run.ended_ms, says: run.says,
      parts: parts.map((part) => ({ set: part.set_name, setId: part.set_id, state: part.state as PolicyRun['parts'][number]['state'], tries: part.session === null ? part.attempt : part.attempt + (part.state === 'waiting' ? 0 : 1), session: part.session, notBeforeMs: part.state === 'waiting' ? part.not_before_ms : null, says: part.says })),
    };
  }

  const viewRun = async (run: RunRow): Promise<PolicyRun> => viewOpened({ run, parts: await store.parts(run.id) });

  function view(row: PolicyRow, known: Around, last: OpenedRun | undefined): Policy {
    return { id: row.id, isEnabled: row.is_enabled === 1, document: named(documentOf(row), known), addedAtMs: row.added_ms, nextRunAtMs: row.is_enabled === 1 ? row.next_ms : null, protects: protectedAmong(documentOf(row), known.objects).map(({ name }) => name), lastRun: last === undefined ? null : viewOpened(last) };
  }

  async function add(given: PolicyDocument): Promise<PolicyRow> {
    if ((await store.find(given.name)) !== undefined) throw policyExists({ name: given.name });
    const row: PolicyRow = { id: sortableId(clock), ...columns(await kept(given, undefined)), is_enabled: 1, added_ms: clock.now() };
    await store.add(row);
    wake();
    return row;
  }

  async function refuseRunning(row: PolicyRow): Promise<void> {
    const run = await store.openRunOf(row.id);
    if (run !== undefined) throw policyBusy({ policy: row.name, run: run.id });
  }

  return {
    find,
    add,
    viewRun,
    /** Called when policies were changed. */
    onChange: (act: () => void): void => void (wake = act),
    wake: (): void => wake(),

    /** Only a new schedule counts from now: whoever edits a description loses no run. */
    async edit(row: PolicyRow, given: PolicyDocument): Promise<PolicyRow> {
      const other = await store.find(given.name);
      if (other !== undefined && other.id !== row.id) throw policyExists({ name: given.name });
      const document = await kept(given, row);
      const old = documentOf(row);
      const isSame = JSON.stringify([old.schedule, old.timeZone]) === JSON.stringify([document.schedule, document.timeZone]);
      const { counts_from_ms, next_ms, ...changed } = columns(document);
      const stays = new Set((await protectedBy(document, catalog)).map(({ id }) => id));
      const left = (await protectedBy(old, catalog)).flatMap(({ id }) => (stays.has(id) ? [] : [id]));
      await store.update(row.id, isSame ? changed : { ...changed, counts_from_ms, next_ms }, orphansOf(row, left, clock));
      wake();
      return await find(row.id);
    },

    /** What it missed while it was disabled is not made up for. */
    async enable(row: PolicyRow, isEnabled: boolean): Promise<PolicyRow> {
      const { counts_from_ms, next_ms } = columns(documentOf(row));
      await store.update(row.id, { is_enabled: isEnabled ? 1 : 0, ...(isEnabled && row.is_enabled === 0 && { counts_from_ms, next_ms }) });
      wake();
      return await find(row.id);
    },

    async remove(row: PolicyRow): Promise<void> {
      if (row.is_enabled === 1) throw policyEnabled({ policy: row.name });
      await refuseRunning(row);
      const left = (await protectedBy(documentOf(row), catalog)).map(({ id }) => id);
      await store.remove(row.id, orphansOf(row, left, clock));
    },

    refuseRunning,

    /** What a document would change, as sentences, and how it will be shown. Fails where it does not fit. `of`: the policy whose document it is to become; `besides`: policies that are added or changed with it. */
    async effects(given: PolicyDocument, { of, besides, retention }: { of: string | undefined; besides: readonly string[]; retention: Pick<Retention, 'plan'> }): Promise<{ says: string[]; document: PolicyDocument }> {
      const row = of === undefined ? undefined : await store.find(of);
      const document = await kept(given, row, besides);
      return { says: await effectsOf(document, row, { catalog, retention, clock }), document: named(document, await around()) };
    },

    preview(document: PolicyDocument, count: number): PreviewedRun[] {
      const { schedule, timeZone, window } = document;
      return nextRuns(schedule, timeZone, clock.now(), count).map((atMs) => {
        const opening = window === null ? null : nextOpening(window, timeZone, atMs);
        return { atMs, opensAtMs: opening === null ? atMs : Math.max(atMs, opening.opensMs), closesAtMs: opening?.closesMs ?? null };
      });
    },

    async view(row: PolicyRow): Promise<Policy> {
      const [run] = await store.runs(row.id, 1);
      return view(row, await around(), run === undefined ? undefined : { run, parts: await store.parts(run.id) });
    },
    async viewAll(): Promise<Policy[]> {
      const [rows, known, last] = [await store.list(), await around(), new Map((await store.lastRuns()).map((one) => [one.run.policy, one]))];
      return rows.map((row) => view(row, known, last.get(row.id)));
    },
  };
}

const byId = <T extends { readonly id: string }>(rows: readonly T[]): ReadonlyMap<string, T> => new Map(rows.map((row) => [row.id, row]));

/** What a document that is kept names. */
function idsIn({ groups, sets, overrides, hooks, schedule }: PolicyDocument): ReadonlySet<string> {
  return new Set([...groups, ...sets, ...Object.keys(overrides), ...hooks.map(({ on }) => on), ...(schedule.kind === 'after' ? [schedule.policy] : [])]);
}
