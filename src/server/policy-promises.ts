/** What policies say of a set and of a session: which of them it is for, what they promise, and whether one tries a failure again. */
import type { Catalog } from '../catalog/catalog.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { Clock } from '../base/clock.ts';
import type { PolicyDocument } from '../contract/policies.ts';
import { settlePart, type PartState } from '../domain/policy-run.ts';
import { pointHoursOf, strictest, usualPromise, type Promised } from '../domain/protection.ts';
import { documentOf, policiesOf, policyObjects, protectedAmong } from './policy-objects.ts';

export type PolicyPromises = {
  /** The strictest of all enabled policies that have the set; the usual one where none has. */
  promisedTo(setId: string): Promise<Promised>;
  /** The same of all sets, for which policies are read once. */
  promisedToAll(): Promise<(setId: string) => Promised>;
  /** `policy:NAME` of the policy that began a session; where none did, of those that have its set, or a set that is kept in its repository. */
  namesOf(session: SessionRow): Promise<string[]>;
  /** `policy:NAME` of each policy that has one of these sets, or a set that is kept in one of these repositories. */
  namesAbout(about: { readonly set?: string; readonly repositories?: readonly string[] }): Promise<string[]>;
  willTryAgain(session: SessionRow): Promise<boolean>;
};

export function openPolicyPromises({ catalog, clock }: { catalog: Catalog; clock: Clock }): PolicyPromises {
  /** Of a schedule on a day: its pauses change with summer time, and are not reckoned anew for each policy each minute. */
  let reckoned = { day: -1, hours: new Map<string, number>() };

  function hoursOf(schedule: PolicyDocument['schedule'], timeZone: string): number {
    const day = Math.floor(clock.now() / 86_400_000);
    if (reckoned.day !== day) reckoned = { day, hours: new Map() };
    const key = JSON.stringify([schedule, timeZone]);
    const hours = reckoned.hours.get(key) ?? pointHoursOf(schedule, timeZone, clock.now()) ?? Infinity;
    reckoned.hours.set(key, hours);
    return hours;
  }

  const promiseOf = ({ promise, schedule, timeZone }: PolicyDocument): Promised => ({ lossSeconds: promise.lossSeconds, pointHours: promise.pointHours ?? hoursOf(schedule, timeZone) });

  const namesAbout: PolicyPromises['namesAbout'] = async ({ set, repositories = [] }) => {
    if (set !== undefined) return (await policiesOf(set, catalog)).map(({ row }) => `policy:${row.name}`);
    const kept = repositories.length === 0 ? [] : [...(await catalog.sets.list()).map(({ id, repository }) => ({ id, repository })), ...(await catalog.copies.list()).map(({ set_id: id, repository }) => ({ id, repository }))];
    const sets = new Set(kept.flatMap(({ id, repository }) => (repositories.includes(repository) ? [id] : [])));
    if (sets.size === 0) return [];
    const objects = await policyObjects(catalog);
    const having = (await catalog.policies.list()).filter((row) => protectedAmong(documentOf(row), objects).some(({ id }) => sets.has(id)));
    return having.map(({ name }) => `policy:${name}`);
  };

  return {
    namesAbout,
    async promisedTo(setId) {
      const enabled = (await policiesOf(setId, catalog)).filter(({ row }) => row.is_enabled === 1);
      return strictest(enabled.map(({ document }) => promiseOf(document)), usualPromise);
    },
    async promisedToAll() {
      const objects = await policyObjects(catalog);
      const promises = new Map<string, Promised[]>();
      for (const row of await catalog.policies.list()) {
        if (row.is_enabled === 0) continue;
        const document = documentOf(row);
        for (const { id } of protectedAmong(document, objects)) promises.set(id, [...(promises.get(id) ?? []), promiseOf(document)]);
      }
      return (setId) => strictest(promises.get(setId) ?? [], usualPromise);
    },
    async namesOf({ claim, set_id: set, object_kind: kind, object_id: object }) {
      const begun = claimOf(claim);
      if (begun === undefined) return await namesAbout({ ...(set !== null && { set }), ...(kind === 'repository' && { repositories: [object] }) });
      const policy = begun.policy ?? (await catalog.policies.run(begun.run))?.policy;
      const row = policy === undefined ? undefined : await catalog.policies.policy(policy);
      return row === undefined ? [] : [`policy:${row.name}`];
    },
    async willTryAgain({ claim }) {
      const begun = claimOf(claim);
      if (begun?.run === undefined) return false;
      const [run, parts] = [await catalog.policies.run(begun.run), await catalog.policies.parts(begun.run)];
      const part = parts.find(({ set_id }) => set_id === begun.set);
      if (run === undefined || part === undefined) return false;
      // The scheduler may have seen the end before this, or not.
      if (part.attempt > begun.attempt) return true;
      const row = await catalog.policies.policy(run.policy);
      if (part.state !== 'running' || row === undefined || run.stopping === 1) return false;
      const { retry } = documentOf(row);
      const next = settlePart({ state: part.state as PartState, attempt: part.attempt, notBeforeMs: part.not_before_ms }, 'failed', retry, clock.now(), false);
      return next.state === 'waiting' && (run.closes_ms === null || next.notBeforeMs < run.closes_ms);
    },
  };
}

type BegunFor = { readonly run: string; readonly policy?: undefined; readonly set: string; readonly attempt: number } | { readonly run?: undefined; readonly policy: string };

/** `RUN/SET/TRY` of a part (docs/design/policies.md) and `verify/POLICY/SET/DUE` of a verification; re-reads and sweeps are no policy's. */
function claimOf(claim: string | null): BegunFor | undefined {
  const words = claim?.split('/') ?? [];
  if (words[0] === 'verify' && words.length === 4) return { policy: words[1]! };
  return words.length === 3 && words[0] !== 'reread' && words[0] !== 'sweep' && /^\d+$/.test(words[2]!) ? { run: words[0]!, set: words[1]!, attempt: Number(words[2]) } : undefined;
}
