/** Tidemark as the benches use it: the ordinary commands on a platform of its own, with what each run cost. */
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { openPlatform, type Platform } from '../../test/kit/platform.ts';
import type { ReplicaSet } from '../../test/kit/replica-set.ts';
import type { Session } from '../../src/contract/sessions.ts';
import { openMeter, parentOf, round, costOf, type Cost } from './accounting.ts';

export type Stored = {
  readonly point: string;
  readonly method: string;
  readonly bytes: { readonly processed: number; readonly read: number; readonly transferred: number; readonly stored: number };
  readonly lockedMs: number;
  readonly verified: boolean;
  /** From the command to the point's existence: what the peers' walls are compared with. */
  readonly storing: Cost;
  /** The opening of the new point with a real mongod, which the peers do not do. */
  readonly proofSeconds: number;
  /** High-water marks of the product's own programs, MiB. */
  readonly peaksMiB: Readonly<Record<string, number>>;
  readonly steps: Readonly<Record<string, number>>;
};

/** What a command answers with --json: a document whose shape is the command's own. */
export type Answer = ReturnType<typeof JSON.parse>;

export type Worked = { readonly cost: Cost; readonly answer: Answer; readonly session: Session; readonly steps: Record<string, number> };

export type Product = AsyncDisposable & {
  readonly platform: Platform;
  readonly repository: string;
  /** `set add`, with the members named; further options as on the command line. */
  protect(set: ReplicaSet, name: string, ...args: string[]): Promise<void>;
  backup(name: string, ...args: string[]): Promise<Stored>;
  /** A long command with what its whole run cost, including the command line client. */
  work(...args: string[]): Promise<Worked>;
};

/** In the steps of a backup the point exists when the first of these begins. */
const PROOF_STEPS = new Set(['wait for the archived oplog', 'prove the restore point', 'choose the moment']);

export async function openProduct(directory: string): Promise<Product> {
  const dataDir = join(directory, 'tidemark');
  mkdirSync(dataDir, { recursive: true });
  const platform = await openPlatform({ dataDir });
  const { repositories } = await platform.ok('repository', 'list');
  const repository = (repositories as { isDefault: boolean; location: { path: string } }[]).find((each) => each.isDefault)!.location.path;
  const rootPid = (): number => parentOf(platform.pids('server')[0]!);
  const sessionOf = async (id: string): Promise<Session> => {
    const shown = await platform.ok('session', 'show', id);
    return (shown.session ?? shown) as Session;
  };
  const work = async (...args: string[]): Promise<Worked & { meter: ReturnType<typeof openMeter>; endedMs: number }> => {
    const meter = openMeter(rootPid());
    const answer = await platform.ok(...args);
    const endedMs = Date.now();
    const cost = meter.stop();
    const session = await sessionOf(answer.session as string);
    return { cost, answer, session, steps: stepSeconds(session), meter, endedMs };
  };
  return {
    platform,
    repository,
    protect: async (set, name, ...args) => void (await platform.ok('set', 'add', set.uri, '--name', name, ...args)),
    work,
    backup: async (name, ...args) => {
      const startedMs = Date.now();
      const { cost, answer, session, steps, meter, endedMs } = await work('backup', 'run', name, ...args);
      const proofMs = session.steps.find((step) => PROOF_STEPS.has(step.name))?.startedAtMs ?? endedMs;
      return {
        point: answer.point,
        method: answer.method,
        bytes: answer.bytes,
        lockedMs: answer.lockedMs ?? 0,
        verified: answer.verified,
        storing: { ...costOf(cost), seconds: round((proofMs - startedMs) / 1000), cpuSeconds: round(meter.cpuBetween(startedMs, proofMs)), peakRssMiB: Math.round(meter.peaks.get('mover') ?? 0) },
        proofSeconds: round((endedMs - proofMs) / 1000),
        peaksMiB: Object.fromEntries([...meter.peaks].map(([program, mib]) => [program, Math.round(mib)])),
        steps,
      };
    },
    [Symbol.asyncDispose]: async () => await platform[Symbol.asyncDispose](),
  };
}

/** Seconds of each step; steps of one name are added up. */
export function stepSeconds(session: Pick<Session, 'steps' | 'endedAtMs'>): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const [k, step] of session.steps.entries()) {
    const endedMs = step.endedAtMs ?? session.steps[k + 1]?.startedAtMs ?? session.endedAtMs ?? step.startedAtMs;
    seconds[step.name] = round((seconds[step.name] ?? 0) + (endedMs - step.startedAtMs) / 1000);
  }
  return seconds;
}
