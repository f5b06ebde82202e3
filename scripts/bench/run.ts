import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What every bench prints: `ratios` are compared with their targets, `figures` say how they came about. */
export type Measured = { readonly ratios: Readonly<Record<string, number>>; readonly figures: Readonly<Record<string, unknown>> };

export type RunOptions = {
  /** 1 is the full data set; less for a quick try. */
  readonly scale: number;
  readonly seed: string;
  readonly keep: boolean;
  readonly say: (line: string) => void;
};

export type Run = RunOptions & {
  /** Its own directory, removed at the end. */
  readonly directory: string;
  /** Closed in reverse order at the end, whatever happens. */
  readonly stack: AsyncDisposableStack;
};

export type Bench = (run: Run) => Promise<Measured>;

/** Gives a bench its directory and closes what it opened, also when it fails or is interrupted. */
export async function runBench(name: string, bench: Bench, options: RunOptions): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), `tm-bench-${name}-`));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => {
    if (!options.keep) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
  });
  return await Promise.race([bench({ ...options, directory, stack }), interrupted]);
}

export function folder(run: Run, name: string): string {
  const path = join(run.directory, name);
  mkdirSync(path, { recursive: true });
  return path;
}
