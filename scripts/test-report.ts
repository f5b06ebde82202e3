import { run, type EventData } from 'node:test';
import { join, relative } from 'node:path';
import { inspect } from 'node:util';

export type Tally = { passed: number; failed: number; skipped: number };
type TestPass = EventData.TestPass;
type TestFail = EventData.TestFail;
type FileRun = Tally & { problems: string[]; skips: string[]; output: string[]; startedMs: number; endedMs: number };
export type Say = (line: string) => void;
/** `file` is where a test stands, `entryFile` the file whose run it belongs to; what is said of that file itself has only the first. */
type Placed = { readonly file?: string; readonly entryFile?: string };

const fileDeadlineMs = 10 * 60_000;

/**
 * Runs test files, each in a process of its own, and says one line for each when it ends; for a failed one, what
 * failed, why, and what it printed. A file that ends without a test has failed: nothing was shown by it.
 */
export async function runFiles(root: string, files: readonly string[], concurrency: number, say: Say): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return total;
  const runs = new Map<string, FileRun>();
  const runOf = ({ file, entryFile = file }: Placed): FileRun => {
    const name = entryFile === undefined ? '(no file)' : relative(root, entryFile);
    const known = runs.get(name) ?? newRun();
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
    addTo(total, close(name, runOf({ file: join(root, name) }), say));
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

/**
 * Runs test files several to a process (test-lot.ts), and says the same of each. A file of which nothing was heard has failed,
 * as it does when another one of its lot ended the process.
 */
export async function runLots(root: string, lots: readonly (readonly string[])[], concurrency: number, say: Say): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...lots];
  const lane = async (): Promise<void> => {
    for (let lot = waiting.shift(); lot !== undefined; lot = waiting.shift()) addTo(total, await runLot(root, lot, say));
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return total;
}

async function runLot(root: string, files: readonly string[], say: Say): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  const runs = new Map<string, FileRun>();
  const output: string[] = [];
  let told = newRun();
  // What is no file's own: the end of the process itself, or a test that is in no file's suite.
  const stray = newRun();
  const tell = (event: TestPass | TestFail): void => {
    if (event.nesting > 0) return count(told, event);
    if (event.details.type !== 'suite' || !files.includes(event.name)) return count(stray, event);
    // It did not load, or a hook of its own failed: the tests of a file are told before the suite that is the file.
    if ('error' in event.details && told.failed === 0) fail(told, event as TestFail);
    runs.set(event.name, { ...told, startedMs: 0, endedMs: event.details.duration_ms });
    told = newRun();
  };
  const stream = run({ files: [join(import.meta.dirname, 'test-lot.ts')], argv: files, timeout: fileDeadlineMs, cwd: root });
  stream.on('test:pass', tell);
  stream.on('test:fail', tell);
  for (const name of ['test:stdout', 'test:stderr'] as const) stream.on(name, (event) => output.push(event.message));
  for await (const _ of stream);
  for (const file of files) addTo(total, close(file, { ...(runs.get(file) ?? newRun()), output }, say));
  if (stray.passed + stray.failed + stray.skipped > 0) addTo(total, close(`the lot that begins with ${files[0]}`, { ...stray, output }, say));
  return total;
}

function newRun(): FileRun {
  return { passed: 0, failed: 0, skipped: 0, problems: [], skips: [], output: [], startedMs: performance.now(), endedMs: Number.NaN };
}

export function addTo(total: Tally, part: Tally): void {
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += part[key];
}

/** Says what has come of a file; one that showed nothing has failed. */
function close(name: string, result: FileRun, say: Say): FileRun {
  if (result.passed + result.failed + result.skipped === 0) {
    result.failed = 1;
    result.problems.push('the file ended without a test');
  }
  report(name, result, say);
  return result;
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
  fail(file, event as TestFail);
}

function fail(file: FileRun, { name, details: { error } }: TestFail): void {
  file.failed++;
  file.problems.push(`${name}\n${inspect(error.cause ?? error, { colors: false, depth: 6 })}`);
}

function report(name: string, result: FileRun, say: Say): void {
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
