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
