import type { WireFailure } from '../base/failure.ts';

/** A read or a write that a mount answered with an error: whoever asked knows nothing but the errno. */
export type Trouble = { readonly path: string; readonly operation: string; readonly failure: WireFailure };
