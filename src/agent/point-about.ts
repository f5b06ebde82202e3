/** What the agent writes into a restore point beside its files, form 1: everything a restore must know of the source. */
import * as z from 'zod';
import type { PointManifest } from '../repository/archive.ts';
import { verdictOf } from '../domain/verdict.ts';
import { copyMethod, pointSummary, type PointSummary } from '../contract/values.ts';

const about = z.object({
  form: z.literal(1),
  setName: z.string(),
  /** host:port of the member the copy was taken from. */
  source: z.string(),
  method: copyMethod,
  /** The point whose unchanged parts were taken over; null: everything was read. */
  base: z.string().nullable().optional(),
  mongoVersion: z.string(),
  featureCompatibilityVersion: z.string(),
  /** mongod's storage options that must be the same when the files are opened. */
  storage: z.object({ engine: z.string(), directoryPerDb: z.boolean(), directoryForIndexes: z.boolean(), encrypted: z.boolean() }),
  /** Whether users had to sign in: a restored set that is started asks for it too. */
  accessControl: z.boolean(),
  /** The mongod that served the source, as a hint where a matching one is. */
  binary: z.string(),
  lockedMs: z.number(),
  notes: z.array(z.string()),
  /** What the copy remembers for the next one: opaque to everybody but mongo/copy. */
  remembered: z.unknown(),
});

export type PointAbout = z.infer<typeof about>;

export function aboutOf(point: PointManifest): PointAbout {
  return about.parse(point.about);
}

const proof = pointSummary.shape.proof.unwrap();

/** Those that are understood, in the order they were made; a record that is not proves nothing. */
export function proofsOf(recorded: readonly unknown[]): NonNullable<PointSummary['proof']>[] {
  return recorded.flatMap((one) => proof.safeParse(one).data ?? []);
}

/** The proof that counts of those recorded on a point. */
export function verdictOn(recorded: readonly unknown[]): PointSummary['proof'] {
  return verdictOf(proofsOf(recorded));
}

export function summarise(setId: string, point: PointManifest, proofs: readonly unknown[], chain: string | null): PointSummary {
  const known = aboutOf(point);
  return {
    id: point.id,
    setId,
    setName: known.setName,
    createdAtMs: point.createdAtMs,
    checkpoint: point.checkpoint,
    top: point.top,
    method: known.method,
    copied: known.base === undefined ? null : known.base === null ? 'full' : 'incremental',
    source: known.source,
    mongoVersion: known.mongoVersion,
    featureCompatibilityVersion: known.featureCompatibilityVersion,
    chain,
    bytes: point.bytes,
    files: point.files.length,
    proof: verdictOn(proofs),
    proofsAtMs: proofsOf(proofs).map(({ atMs }) => atMs),
    copiedFrom: point.copiedFrom ?? null,
  };
}
