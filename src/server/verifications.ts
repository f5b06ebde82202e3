/** Full verifications: what policies ask for, at which moment, and what was found last (docs/design/verification.md). */
import { randomInt } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { NamedSet } from '../catalog/sets.ts';
import { verificationOutcome, type OwnCheck, type VerificationOutcome } from '../contract/checks.ts';
import { chooseRestore } from '../domain/restore-choice.ts';
import { momentAtShare } from '../domain/random-moment.ts';
import type { AskedProof } from './alarms.ts';
import type { VerifyWish } from './flows/verify.ts';
import { factsOf, type ChosenMoment, type Moments, type MomentSource } from './moments.ts';
import { documentOf, policiesOf } from './policy-objects.ts';
import type { SessionEngine } from './session-engine.ts';
import { nothingToVerify } from './verification-failures.ts';

export type Verifications = ReturnType<typeof openVerifications>;
type Options = { catalog: Catalog; moments: Moments; /** From 0 up to 1. */ random?: () => number };

/** Of scheduled verifications; one that somebody asks for by its point has none. */
export const lanePrefix = 'verify:';
const finest = 2 ** 47;

export function openVerifications({ catalog, moments, random = () => randomInt(finest) / finest }: Options, engine: () => SessionEngine) {
  return {
    /** What all policies that have the set say must be in it. The same check in two of them is one. */
    async checksOf(setId: string): Promise<OwnCheck[]> {
      const found = new Map<string, OwnCheck>();
      for (const { document } of await policiesOf(setId, catalog)) for (const check of document.verification.checks) found.set(JSON.stringify(check), check);
      return [...found.values()];
    },

    /** A moment by chance, and the point that leads there. */
    async choose(set: MomentSource): Promise<ChosenMoment> {
      const facts = factsOf(await moments.window(set));
      const at = momentAtShare(facts, random());
      const choice = at === null ? null : chooseRestore(facts, { kind: 'time', at });
      if (choice?.kind !== 'point') throw nothingToVerify({ set: (await catalog.sets.find(set.id))?.name ?? set.id });
      return { point: choice.point, at: choice.at };
    },

    /** Fails with catalog.already-begun for a claim that was met before, and with catalog.lane-taken while another one of the set is open. */
    async start(policy: PolicyRow, set: NamedSet, { reason, claim }: { reason: string; claim?: string }): Promise<SessionRow> {
      const { verification } = documentOf(policy);
      const wish: VerifyWish = { repository: set.repository, setId: set.id, point: null, level: 'full', at: null, checks: verification.checks, policy: policy.id };
      return await engine().start({ kind: 'verify', object: { kind: 'set', id: set.id, name: set.name }, setId: set.id, lane: `${lanePrefix}${set.id}`, wish, reason, ...(claim !== undefined && { claim }) });
    },

    /** Opens a point that only lacks its proof. Fails with catalog.already-begun for a claim that was met before. */
    async prove({ set, point, reason, claim }: AskedProof): Promise<SessionRow> {
      const wish: VerifyWish = { repository: set.repository, setId: set.id, point, level: 'open', at: null, checks: [], policy: null };
      return await engine().start({ kind: 'verify', object: { kind: 'point', id: point, name: point }, setId: set.id, lane: null, wish, reason, claim });
    },

    found: async (policy: string, setId: string, outcome: VerificationOutcome): Promise<void> => await catalog.verifications.found(policy, setId, JSON.stringify(outcome)),

    /** How the last verification of each set went, by policy and set. */
    async outcomes(): Promise<{ policy: string; setId: string; outcome: VerificationOutcome }[]> {
      const rows = await catalog.verifications.list();
      return rows.flatMap(({ policy, set_id, outcome }) => (outcome === null ? [] : [{ policy, setId: set_id, outcome: verificationOutcome.parse(JSON.parse(outcome)) }]));
    },
  };
}
