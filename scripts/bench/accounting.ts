/**
 * What work cost: wall, CPU seconds of a whole tree of processes, and its memory.
 *
 * CPU is exact: a process' own time plus that of the children it has waited for, over everything alive below the root;
 * what a child used moves to its parent when it ends. Memory is the kernel's own high-water mark, looked at ten times a second.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

export type Cost = {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The largest single process. */
  readonly peakRssMiB: number;
  /** All processes together at their largest. */
  readonly peakTreeRssMiB: number;
};

export type Sample = { readonly atMs: number; readonly cpuSeconds: number };

export type Meter = {
  readonly samples: readonly Sample[];
  /** CPU seconds between two times of the wall clock, between samples in proportion. */
  cpuBetween(fromMs: number, toMs: number): number;
  /** High-water marks by the name of the program: `mover`, `mongod`, `restic`. */
  readonly peaks: ReadonlyMap<string, number>;
  stop(): Cost;
};

/** Watches a process and everything below it from now on. */
export function openMeter(root: number): Meter {
  const samples: Sample[] = [];
  const peaks = new Map<string, number>();
  let peakTree = 0;
  const startedMs = performance.now();
  const look = (): void => {
    const tree = treeOf(root);
    samples.push({ atMs: Date.now(), cpuSeconds: tree.reduce((sum, pid) => sum + cpuOf(pid), 0) });
    let now = 0;
    for (const pid of tree) {
      const memory = memoryOf(pid);
      now += memory.residentMiB;
      peaks.set(memory.name, Math.max(peaks.get(memory.name) ?? 0, memory.highWaterMiB));
    }
    peakTree = Math.max(peakTree, now);
  };
  look();
  const timer = setInterval(look, 100);
  return {
    samples,
    peaks,
    cpuBetween: (fromMs, toMs) => cpuAt(samples, toMs) - cpuAt(samples, fromMs),
    stop: () => {
      clearInterval(timer);
      look();
      const alive = samples.filter((sample) => sample.cpuSeconds > 0);
      return {
        seconds: round((performance.now() - startedMs) / 1000),
        cpuSeconds: round((alive.at(-1)?.cpuSeconds ?? 0) - (alive[0]?.cpuSeconds ?? 0)),
        peakRssMiB: Math.round(Math.max(0, ...peaks.values())),
        peakTreeRssMiB: Math.round(peakTree),
      };
    },
  };
}

export function cpuAt(samples: readonly Sample[], atMs: number): number {
  const after = samples.findIndex((sample) => sample.atMs >= atMs);
  if (after <= 0) return (after === 0 ? samples[0] : samples.at(-1))?.cpuSeconds ?? 0;
  const [before, next] = [samples[after - 1]!, samples[after]!];
  const share = (atMs - before.atMs) / (next.atMs - before.atMs);
  return before.cpuSeconds + share * (next.cpuSeconds - before.cpuSeconds);
}

/** Runs a program to its end and says what it cost; a non-zero end is an error with its last words. */
export async function timed(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; codes?: readonly number[]; onStart?: (child: ChildProcess) => void } = {},
): Promise<Cost & { readonly stdout: string; readonly stderr: string; readonly code: number }> {
  const before = waitedFor();
  const startedMs = performance.now();
  const child = spawn(program, args, { env: { ...process.env, ...options.env }, cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const meter = child.pid === undefined ? undefined : openMeter(child.pid);
  options.onStart?.(child);
  const code = await ended;
  const seconds = round((performance.now() - startedMs) / 1000);
  const memory = meter?.stop();
  if (!(options.codes ?? [0]).includes(code)) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr().trim().slice(-800)}`);
  return {
    seconds,
    cpuSeconds: round(waitedFor() - before),
    peakRssMiB: memory?.peakRssMiB ?? 0,
    peakTreeRssMiB: memory?.peakTreeRssMiB ?? 0,
    stdout: stdout(),
    stderr: stderr(),
    code,
  };
}

/** The cost alone, for a result. */
export function costOf({ seconds, cpuSeconds, peakRssMiB, peakTreeRssMiB }: Cost): Cost {
  return { seconds, cpuSeconds, peakRssMiB, peakTreeRssMiB };
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no values to take a median of');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const parts: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => parts.push(bytes));
  return () => Buffer.concat(parts).toString();
}

/** CPU seconds of all children this process has waited for so far. */
function waitedFor(): number {
  const fields = statOf(process.pid);
  return fields === undefined ? 0 : (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function cpuOf(pid: number): number {
  const fields = statOf(pid);
  if (fields === undefined) return 0;
  return (Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

/** Fields of /proc/PID/stat after the name, which may hold spaces: [0] is the state, [1] the parent. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1] ?? -1);
}

export function treeOf(root: number): number[] {
  const found = [root];
  for (let at = 0; at < found.length; at++) found.push(...childrenOf(found[at]!));
  return found;
}

function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const thread of threadsOf(pid)) {
    try {
      found.push(...readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter((word) => word !== '').map(Number));
    } catch {
      // The thread has just ended.
    }
  }
  return found;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function memoryOf(pid: number): { name: string; residentMiB: number; highWaterMiB: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
    return { name: programName(pid), residentMiB: mib('VmRSS'), highWaterMiB: mib('VmHWM') };
  } catch {
    return { name: 'ended', residentMiB: 0, highWaterMiB: 0 };
  }
}

/** `mover` for `node …/mover.ts`, else the program's own name. */
function programName(pid: number): string {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const script = args.find((word) => word.endsWith('.ts'));
  const path = script ?? args[0] ?? '';
  return path.slice(path.lastIndexOf('/') + 1).replace(/\.ts$/, '');
}
