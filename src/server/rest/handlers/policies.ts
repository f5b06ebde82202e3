import { isDeepStrictEqual } from 'node:util';
import { policyBusy, policyNotRunning, policyNothingFailed } from '../../policy-failures.ts';
import { describe } from '../../../base/failure.ts';
import { setAmbiguous, setUnknown } from '../../failures.ts';
import type { PolicyRow } from '../../../catalog/policies.ts';
import type { RouteAnswer, RouteQuestion } from '../../../contract/routes.ts';
import { retention as retentionShape, type PolicyHook, type PolicyRun } from '../../../contract/policies.ts';
import { demandEverywhere, type SignIn } from '../../people/reach.ts';
import type { Handlers } from '../app.ts';
import type { TendedArchive } from '../../tended-archive.ts';
import type { Services } from '../../services.ts';
import { startOnSet } from './sets.ts';

type PolicyRoutes = 'policy.add' | 'policy.preview' | 'policy.list' | 'policy.show' | 'policy.runs' | 'policy.edit' | 'policy.enable' | 'policy.remove' | 'policy.run' | 'policy.stop';
type RetentionRoutes = 'retention.preview' | 'retention.run' | 'retention.orphans' | 'retention.forget';

export function policyHandlers(services: Services): Pick<Handlers, PolicyRoutes> {
  const { policies, retention, catalog } = services;
  return {
    'policy.add': async ({ body }, signIn) => {
      demandHooks(signIn, [], body.hooks);
      return await policies.view(await policies.add(body));
    },
    'policy.preview': async ({ body: { document, count, policy, besides } }, signIn) => {
      if (policy !== undefined || besides.includes(document.name)) demandHooks(signIn, policy === undefined ? [] : (await policies.view(await policies.find(policy))).document.hooks, document.hooks);
      const { says, document: shown } = await policies.effects(document, { of: policy, besides, retention });
      const notes = await services.hooks.notesOn(document.hooks.map(({ on, program }) => ({ host: on, program })));
      return { runs: policies.preview(document, count), says: [...says, ...notes], document: shown };
    },
    'policy.list': async () => ({ policies: await policies.viewAll() }),
    'policy.show': async ({ params }) => await policies.view(await policies.find(params.policy)),
    'policy.runs': async ({ params, query }) => ({ runs: await Promise.all((await catalog.policies.runs((await policies.find(params.policy)).id, query.limit)).map(policies.viewRun)) }),
    'policy.edit': async ({ params, body }, signIn) => {
      const row = await policies.find(params.policy);
      demandHooks(signIn, (await policies.view(row)).document.hooks, body.hooks);
      return await policies.view(await policies.edit(row, body));
    },
    'policy.enable': async ({ params, body }) => await policies.view(await policies.enable(await policies.find(params.policy), body.isEnabled)),
    'policy.remove': async ({ params }) => {
      const row = await policies.find(params.policy);
      const shown = await policies.view(row);
      await policies.remove(row);
      return shown;
    },
    'policy.run': async ({ params, body }) => await runNow(await policies.find(params.policy), body, services),
    'policy.stop': async ({ params }) => {
      const row = await policies.find(params.policy);
      const run = await catalog.policies.openRunOf(row.id);
      if (run === undefined) throw policyNotRunning({ policy: row.name });
      await catalog.policies.changeRun(run.id, { stopping: 1 });
      policies.wake();
      return await policies.viewRun({ ...run, stopping: 1 });
    },
  };
}

/** A hook is a program that runs on a host: whoever may write policies alone may not have others run. */
function demandHooks(signIn: SignIn, now: readonly PolicyHook[], wanted: readonly PolicyHook[]): void {
  if (!isDeepStrictEqual(now, wanted)) demandEverywhere(signIn, 'hosts.write', 'what runs on hosts by the hooks of a policy');
}

async function runNow(row: PolicyRow, { fullRead, onlyFailed }: RouteQuestion<'policy.run'>['body'], { policies, policyRuns, catalog }: Services): Promise<PolicyRun> {
  await policies.refuseRunning(row);
  const [last] = await catalog.policies.runs(row.id, 1);
  const failed = last === undefined || !onlyFailed ? [] : (await catalog.policies.parts(last.id)).filter(({ state }) => state === 'failed' || state === 'cut' || state === 'stopped').map(({ set_id }) => set_id);
  if (onlyFailed && failed.length === 0) throw policyNothingFailed({ policy: row.name });
  const run = await policyRuns.run(row, { why: onlyFailed ? `what failed in run ${last!.id}, by hand` : 'by hand', fullRead, ...(onlyFailed && { only: new Set(failed) }) });
  if (run === undefined) throw policyBusy({ policy: row.name, run: (await catalog.policies.openRunOf(row.id))?.id ?? '' });
  policies.wake();
  return await policies.viewRun(run);
}

export function retentionHandlers(services: Services): Pick<Handlers, RetentionRoutes> {
  const { retention, tending, sets, points, catalog } = services;
  /** The points are planned from the catalog, the oplog only by the repository itself. */
  const planOplog = async (set: TendedArchive, without: readonly string[]): Promise<RouteAnswer<'retention.preview'>['oplog']> => {
    const rule = await retention.oplogRuleOf(set.id);
    try {
      return { rule, ...(await tending.plan(set, rule, without)) };
    } catch (error) {
      return { rule, goes: [], retainedBytes: 0, retainedUntilMs: null, says: `the repository could not be asked: ${describe(error)}` };
    }
  };
  const nameOf = async (setId: string): Promise<string> => {
    const held = (await points.list(setId)).at(-1);
    return (await catalog.sets.find(setId))?.name ?? (held === undefined ? setId : points.summary(held).setName);
  };
  return {
    'retention.preview': async ({ params }) => {
      const set = await sets.find(params.set);
      const made = new Map((await points.list(set.id)).map((row) => [row.id, row.created_ms]));
      const { rules, stays, goes } = await retention.plan(set);
      const named = (point: string): { point: string; createdAtMs: number } => ({ point, createdAtMs: made.get(point) ?? 0 });
      return { set: set.name, rules: [...rules], stays: stays.map(({ id, why }) => ({ ...named(id), why: [...why] })), goes: goes.map(named), oplog: await planOplog(set, goes) };
    },
    'retention.run': async ({ params }) => {
      const set = await sets.find(params.set);
      return await startOnSet(services, set, { kind: 'retention', wish: { setId: set.id, name: set.name, repository: set.repository } });
    },
    'retention.orphans': async () => ({ orphans: await Promise.all((await catalog.policies.orphans()).map(async (row) => ({ set: await nameOf(row.set_id), setId: row.set_id, policy: row.policy_name, retention: retentionShape.parse(JSON.parse(row.retention)), sinceMs: row.since_ms }))) }),
    'retention.forget': async ({ params }) => {
      const named = new Map<string, string>();
      for (const { set_id } of await catalog.policies.orphans()) named.set(set_id, await nameOf(set_id));
      const meant = [...named].flatMap(([id, name]) => (named.has(params.set) ? id === params.set : name === params.set) ? [id] : []);
      // A set that was built anew has the name of the one before it.
      if (meant.length > 1) throw setAmbiguous({ set: params.set, ids: meant });
      const [id] = meant;
      if (id === undefined) throw setUnknown({ set: params.set, keptIn: null, place: null });
      await catalog.policies.forgetOrphan(id);
      return { set: named.get(id)! };
    },
  };
}
