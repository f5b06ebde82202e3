/**
 * Failures: the world did not cooperate.
 *
 * A failure has a stable code `room.problem`, typed details, a sentence, a hint and a retry rule. Codes travel between
 * processes, classes do not: test with `isFailure(error, code)`, never with `instanceof`. Codes are never reused.
 */

export type Retry = 'never' | 'later' | 'now';

type FailureText<D> = {
  /** One sentence, lowercase, with the values, no full stop. */
  says: (details: D) => string;
  /** What to do or what to run. */
  hint: string | ((details: D) => string);
  retry: Retry;
};

/** A failure as it crosses a process boundary. */
export type WireFailure = {
  code: string;
  message: string;
  hint: string;
  retry: Retry;
  details: Record<string, unknown>;
};

export class Failure extends Error {
  readonly code: string;
  readonly hint: string;
  readonly retry: Retry;
  readonly details: Record<string, unknown>;

  constructor(wire: WireFailure, cause?: unknown) {
    super(wire.message, cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.code = wire.code;
    this.hint = wire.hint;
    this.retry = wire.retry;
    this.details = wire.details;
  }
}

export type FailureMaker<D> = ((details: D, cause?: unknown) => Failure) & { readonly code: string; readonly example: FailureText<D> };

const declared = new Map<string, FailureMaker<never>>();

/** Declares a failure. Called once for each code, in a room's `failures.ts`. */
export function failure<D extends Record<string, unknown> = Record<string, never>>(code: string, text: FailureText<D>): FailureMaker<D> {
  if (declared.has(code)) throw new Error(`failure code ${code} is declared twice`);
  const make = (details: D, cause?: unknown): Failure => {
    const hint = typeof text.hint === 'string' ? text.hint : text.hint(details);
    return new Failure({ code, message: text.says(details), hint, retry: text.retry, details }, cause);
  };
  const maker: FailureMaker<D> = Object.assign(make, { code, example: text });
  declared.set(code, maker as unknown as FailureMaker<never>);
  return maker;
}

/** Every code declared by the modules loaded so far, in alphabetical order. */
export function declaredFailures(): FailureMaker<never>[] {
  return [...declared.values()].sort((a, b) => (a.code < b.code ? -1 : 1));
}

export function isFailure(error: unknown, maker?: { readonly code: string }): error is Failure {
  return error instanceof Error && error.name === 'Failure' && 'code' in error && (maker === undefined || error.code === maker.code);
}

/** The code of what nobody declared. */
export const unexpected = 'base.unexpected';

export function toWire(error: unknown): WireFailure {
  if (isFailure(error)) {
    return { code: error.code, message: error.message, hint: error.hint, retry: error.retry, details: error.details };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: unexpected, message, hint: 'This is not a known failure. The log of the part that raised it has the details.', retry: 'later', details: {} };
}

export function fromWire(wire: WireFailure): Failure {
  return new Failure(wire);
}

/** The error's own sentence and code, without what caused it: for lists that people read. */
export function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return isFailure(error) ? `${message}  [${error.code}]` : message;
}

/** `code: message` of any thrown value and its causes, for logs and session steps. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && parts.length < 4; at = at instanceof Error ? at.cause : undefined) {
    parts.push(at instanceof Error ? at.message : String(at));
  }
  const text = parts.join(': ');
  return isFailure(error) ? `${text}  [${error.code}]` : text;
}
