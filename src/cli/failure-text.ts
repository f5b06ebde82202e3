import type { WireFailure } from '../base/failure.ts';

/** What an operator sees of a failure: what, its code, and what to do. */
export function showFailure(failure: Pick<WireFailure, 'code' | 'message' | 'hint'>): string {
  const hint = failure.hint === '' ? '' : `\n     ${failure.hint.replaceAll('\n', '\n     ')}`;
  return `tidemark: ${failure.message}  [${failure.code}]${hint}`;
}
