import { run, type EventData } from 'node:test';
import { join, relative } from 'node:path';
import { inspect } from 'node:util';

export type Tally = { passed: number; failed: number; skipped: number };
type TestPass = EventData.TestPass;
type TestFail = EventData.TestFail;
type FileRun = Tally & { problems: string[]; skips: string[]; output: string[]; startedMs: number; endedMs: number };
/** `file` is where a test stands, `entryFile` the file whose run it belongs to; what is said of that file itself has only the first. */
type Placed = { readonly file?: string; readonly entryFile?: string };

const fileDeadlineMs = 10 * 60_000;

/**
 * Runs test files, each in a process of its own, and says one line for each when it ends; for a failed one, what
 * failed, why, and what it printed. A file that ends without a test has failed: nothing was shown by it.
 */
export async function runFiles(root: string, files: readonly string[], concurrency: number, say: (line: string) => void): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return total;
  const runs = new Map<string, FileRun>();
  const runOf = ({ file, entryFile = file }: Placed): FileRun => {
    const name = entryFile === undefined ? '(no file)' : relative(root, entryFile);
    const known = runs.get(name) ?? { passed: 0, failed: 0, skipped: 0, problems: [], skips: [], output: [], startedMs: performance.now(), endedMs: Number.NaN };
    runs.set(name, known);
    return known;
  };
  const finished = new Set<string>();
  const stream = run({ files: files.map((file) => join(root, file)), concurrency, timeout: fileDeadlineMs, cwd: root });
  stream.on('test:pass', (event: TestPass) => count(runOf(event), event));
  stream.on('test:fail', (event: TestFail) => count(runOf(event), event));
  stream.on('test:stdout', (event) => runOf(event).output.push(event.message));
  stream.on('test:stderr', (event) => runOf(event).output.push(event.message));
  // Told when they happen. The others are told file after file in the order of the list, so that they may come late.
  stream.on('test:dequeue', (event) => void runOf(event));
  stream.on('test:complete', (event) => void (runOf(event).endedMs = performance.now()));
  const finish = (name: string): void => {
    const result = runOf({ file: join(root, name) });
    if (result.passed + result.failed + result.skipped === 0) {
      result.failed = 1;
      result.problems.push('the file ended without a test');
    }
    report(name, result, say);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += result[key];
    finished.add(name);
  };
  stream.on('test:summary', ({ file }) => void (file !== undefined && finish(relative(root, file))));
  for await (const _ of stream);
  // A file that crashed or held no test sends no summary of its own.
  for (const file of files) if (!finished.has(file)) finish(file);
  // Nothing that failed may be lost, wherever the runner says that it belongs.
  for (const name of runs.keys()) if (!finished.has(name)) finish(name);
  return total;
}

function count(file: FileRun, event: TestPass | TestFail): void {
  // A file without a test is reported as one passed test that bears the file's name.
  const isFile = event.file !== undefined && event.nesting === 0 && event.file.endsWith(event.name.replace(/^.*\//, '/'));
  if (event.details.type === 'suite' || (isFile && !('error' in event.details))) return;
  if (event.skip !== undefined && event.skip !== false) {
    file.skipped++;
    file.skips.push(`${event.name}${typeof event.skip === 'string' && event.skip !== '' ? `: ${event.skip}` : ''}`);
    return;
  }
  if (!('error' in event.details)) {
    file.passed++;
    return;
  }
  file.failed++;
  const { error } = event.details as TestFail['details'];
  file.problems.push(`${event.name}\n${inspect(error.cause ?? error, { colors: false, depth: 6 })}`);
}

function report(name: string, result: FileRun, say: (line: string) => void): void {
  const ms = (Number.isNaN(result.endedMs) ? performance.now() : result.endedMs) - result.startedMs;
  const counts = [`${result.passed} passed`, ...(result.failed > 0 ? [`${result.failed} failed`] : []), ...(result.skipped > 0 ? [`${result.skipped} skipped`] : [])];
  say(`${result.failed > 0 ? 'FAIL' : 'ok  '}  ${name}  ${counts.join(', ')}  ${(ms / 1000).toFixed(1)} s`);
  for (const skip of result.skips) say(`      skipped  ${skip}`);
  for (const problem of result.problems) say(indent(`failed   ${problem}`));
  if (result.failed > 0 && result.output.length > 0) say(indent(`it printed\n${result.output.join('').slice(-20_000)}`));
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '      ');
}
