import { laneTaken } from '../../../catalog/failures.ts';
import type { NamedSet } from '../../../catalog/sets.ts';
import { isFailure } from '../../../base/failure.ts';
import type { SetVerification } from '../../../contract/routes/checks.ts';
import { nextRun } from '../../../domain/schedule.ts';
import { setBusy } from '../../failures.ts';
import { documentOf, policyObjects, protectedAmong, protectedBy } from '../../policy-objects.ts';
import { policyVerifiesNothing } from '../../verification-failures.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function checkHandlers(services: Services): Pick<Handlers, 'check.list' | 'policy.verify'> {
  const { catalog, clock, engine, policies, sets, verifications, viewSession } = services;

  async function list(only: NamedSet | undefined): Promise<SetVerification[]> {
    const [rows, outcomes] = [await catalog.verifications.list(), await verifications.outcomes()];
    const found: SetVerification[] = [];
    const objects = await policyObjects(catalog);
    for (const policy of await catalog.policies.list()) {
      const { verification, timeZone, ...document } = documentOf(policy);
      const isEnabled = policy.is_enabled === 1;
      for (const set of protectedAmong(document, objects)) {
        if (only !== undefined && set.id !== only.id) continue;
        const counts = rows.find((row) => row.policy === policy.id && row.set_id === set.id)?.counts_from_ms ?? clock.now();
        const last = outcomes.find((one) => one.policy === policy.id && one.setId === set.id)?.outcome ?? null;
        found.push({ policy: policy.name, set: set.name, setId: set.id, isEnabled, nextAtMs: isEnabled ? nextRun(verification.schedule, timeZone, counts) : null, checks: verification.checks, last });
      }
    }
    return found;
  }

  return {
    'check.list': async ({ query }) => ({ verifications: await list(query.set === undefined ? undefined : await sets.find(query.set)) }),
    'policy.verify': async ({ params, body }) => {
      const policy = await policies.find(params.policy);
      const wanted = await protectedBy(documentOf(policy), catalog);
      if (wanted.length === 0) throw policyVerifiesNothing({ policy: policy.name });
      const begun: string[] = [];
      for (const set of wanted) begun.push((await startOn(set, async () => await verifications.start(policy, set, { reason: body.reason ?? `policy ${policy.name}, by hand` }))).id);
      return { sessions: await Promise.all(begun.map(async (id) => await viewSession(await engine.find(id)))) };
    },
  };

  async function startOn<T>(set: NamedSet, start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (error) {
      if (!isFailure(error, laneTaken)) throw error;
      throw setBusy({ set: set.name, session: String(error.details['session']) }, error);
    }
  }
}
