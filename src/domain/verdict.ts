/** How much a proof looked at, the least first. */
const levels = ['open', 'full'] as const;

export type ProofFacts = { readonly level: (typeof levels)[number]; readonly ok: boolean };

/**
 * The proof that counts, of all in the order they were made: the last one, except that a failure stands until a look that
 * was at least as thorough finds nothing. A quick look cannot see what a thorough one found.
 */
export function verdictOf<P extends ProofFacts>(proofs: readonly P[]): P | null {
  return proofs.reduce<P | null>((verdict, next) => (verdict === null || verdict.ok || isAsThorough(next, verdict) ? next : verdict), null);
}

function isAsThorough(next: ProofFacts, than: ProofFacts): boolean {
  return levels.indexOf(next.level) >= levels.indexOf(than.level);
}

/** `proofsAtMs`: by their times, every proof that is known where this verdict stands; they tell one proof from another, and no order. */
export type Judged<P> = { readonly proof: P | null; readonly proofsAtMs?: readonly number[] | undefined };

/**
 * What counts of what one place knows and what another one now tells. Who has the other's proof knows at least as much. Where
 * neither has, what is told was not known here before and comes last, so that a bad one is never overruled by what may be older.
 */
export function verdictOfBoth<P extends ProofFacts & { readonly atMs: number }>(known: Judged<P>, told: Judged<P>): P | null {
  if (known.proof === null || has(told, known.proof)) return told.proof;
  if (told.proof === null || has(known, told.proof)) return verdictOf([...(told.proof === null ? [] : [told.proof]), known.proof]);
  return verdictOf([known.proof, told.proof]);
}

/** Every time that either knows. */
export function timesOfBoth<P extends { readonly atMs: number }>(known: Judged<P>, told: Judged<P>): number[] {
  return [...new Set([...timesOf(known), ...timesOf(told)])];
}

function has<P extends { readonly atMs: number }>(place: Judged<P>, { atMs }: P): boolean {
  return timesOf(place).includes(atMs);
}

function timesOf<P extends { readonly atMs: number }>({ proof, proofsAtMs }: Judged<P>): readonly number[] {
  return [...(proofsAtMs ?? []), ...(proof === null ? [] : [proof.atMs])];
}
