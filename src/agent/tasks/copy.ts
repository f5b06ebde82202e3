/**
 * Copies what an archive of a set holds into its archive in another repository (docs/design/backup-copy.md).
 *
 *   1. points of both are listed   proofs are brought; what is wanted, by the retention of the copies
 *   2. oplog                       every chain that a wanted point needs
 *   3. points, oldest first        each with the proof of its original
 *
 * A point whose own time the oplog of the copy does not lead to is not copied. One that cannot be copied stops no other. Deleting what is too much is the server's, which knows what is held.
 */
import { compareTimes, showTime, type ClusterTime } from '../../base/cluster-time.ts';
import { describe, isFailure } from '../../base/failure.ts';
import type { TaskInput, TaskOutput } from '../../contract/tasks.ts';
import type { PointSummary } from '../../contract/values.ts';
import { verdictOf } from '../../domain/verdict.ts';
import { planCopies, type CopyPlan, type Original } from '../../domain/copy-plan.ts';
import { copyOplog } from '../../repository/copy-oplog.ts';
import { copyPoint } from '../../repository/copy-point.ts';
import { usualWorkers, type Archive, type PointManifest } from '../../repository/archive.ts';
import { openArchiveAt } from '../archive-access.ts';
import { proofsOf, verdictOn } from '../point-about.ts';
import type { ByteCounts, TaskContext } from '../task-context.ts';
import { chainFor, surveyChains, type ChainSpan } from '../chain-spans.ts';
import { chainOfPoint, spanOfPoint } from '../point-chain.ts';
import { summaryOf } from '../window.ts';

type Input = TaskInput<'copy'>;
type Output = TaskOutput<'copy'>;
type Proof = NonNullable<PointSummary['proof']>;
type Ends = { readonly source: Archive; readonly target: Archive };

export async function copyArchive(input: Input, context: TaskContext): Promise<Output> {
  const begunMs = context.clock.monotonicMs();
  context.step('see what is to be copied');
  const ends: Ends = { source: await openArchiveAt(input.from, context), target: await openArchiveAt(input.archive, context) };
  const points = await ends.source.points();
  const proved = await bringProofs(input, ends);
  const originals = await judged(ends.source, points);
  const plan = await planOf(input, ends, originals, context);
  const wanted = plan.toCopy.map((id) => points.find((point) => point.id === id)!);
  const kept = (await copiesIn(input, ends.target)).filter(({ id }) => !plan.surplus.includes(id));

  context.step('copy the archived oplog');
  const oplog = await bringOplog(input.what, ends, [...wanted, ...kept], context);
  let surveyed: Promise<ChainSpan[]> | undefined;
  const spans = async (): Promise<ChainSpan[]> => await (surveyed ??= surveyChains(ends.target).then((found) => found.spans));
  const bytes: ByteCounts = { processed: 0, read: 0, transferred: 0, stored: 0 };
  const report: Report = { copied: [], failed: [], outOfReach: [] };
  if (input.what === 'all') {
    for (const { id, ok } of originals) if (ok === null) context.say(`restore point ${id} is not copied before it is proved: "tidemark point verify ${id}"`);
    for (const point of wanted) {
      if (await isReached(ends.target, point, await spans())) await bringPoint(input, ends, point, await spans(), report, bytes, context);
      else passBy(point, report, context);
    }
  }
  const left = await planOf(input, ends, originals, context);
  // One without a good proof may be given one yet, and is wanted then.
  const mayCome = await planOf(input, ends, originals.map((one) => ({ ...one, ok: true })), context);
  const coming = points.filter(({ id }) => left.toCopy.includes(id) || mayCome.toCopy.includes(id));
  const there = coming.length === 0 ? [] : await spans();
  const oplogFrom = oldest(coming.filter((point) => canBeReached(point, there)));
  const reached = await Promise.all(coming.map(async (point) => left.toCopy.includes(point.id) && (await isReached(ends.target, point, there))));
  const waiting = reached.filter(Boolean).length;
  return { ...report, oplogFrom, waiting, surplus: [...left.surplus], proved, oplog, bytes, seconds: (context.clock.monotonicMs() - begunMs) / 1000 };
}

type Report = { copied: PointSummary[]; failed: Output['failed']; outOfReach: Output['outOfReach'] };

/** Whether the oplog that leads to its own time is in the copy. */
async function isReached(target: Archive, point: PointManifest, spans: readonly ChainSpan[]): Promise<boolean> {
  return (await spanOfPoint(target, point, spans, point.top)) !== undefined;
}

/** Whether it is, or may come yet: oplog is copied behind what is there, never before it. */
function canBeReached({ checkpoint }: PointManifest, spans: readonly ChainSpan[]): boolean {
  return chainFor(spans, checkpoint, checkpoint) !== undefined || spans.every(({ through }) => compareTimes(through, checkpoint) < 0);
}

/** Nobody could restore its copy. */
function passBy({ id, checkpoint, top }: PointManifest, report: Report, context: TaskContext): void {
  const why = `the copy lacks oplog of (${showTime(checkpoint)}, ${showTime(top)}], without which it cannot be restored: the retention of the copy took it, or it could not be copied`;
  context.say(`restore point ${id} was not copied: ${why}`, 'warning');
  report.outOfReach.push({ point: id, why });
}

/** With what the proof of each says: a point that no mongod could open protects from nothing. */
async function judged(archive: Archive, points: readonly PointManifest[]): Promise<Original[]> {
  return await Promise.all(points.map(async ({ id, createdAtMs }) => ({ id, createdAtMs, ok: verdictOn((await archive.proofs(id)).proofs)?.ok ?? null })));
}

async function copiesIn({ source }: Input, target: Archive): Promise<PointManifest[]> {
  return (await target.points()).filter(({ copiedFrom }) => copiedFrom?.repository === source.id);
}

async function planOf(input: Input, { target }: Ends, originals: readonly Original[], { clock }: TaskContext): Promise<CopyPlan> {
  const copies = await copiesIn(input, target);
  const verdicts = await judged(target, copies);
  return planCopies(originals, copies.map(({ copiedFrom }, at) => ({ ...verdicts[at]!, of: copiedFrom!.point })), input.keep, Math.min(clock.now(), input.nowMs));
}

function oldest(points: readonly PointManifest[]): ClusterTime | null {
  return points.map(({ checkpoint }) => checkpoint).sort(compareTimes)[0] ?? null;
}

/** `leading`: the points that it is to lead on from. What grows is copied every few seconds; of which older chains they are is looked up when points are copied, because that takes a list of all slices. */
async function bringOplog(what: Input['what'], { source, target }: Ends, leading: readonly PointManifest[], context: TaskContext): Promise<Output['oplog']> {
  const of = new Set<string>();
  const { spans } = what === 'all' && leading.length > 0 ? await surveyChains(source) : { spans: [] };
  for (const point of leading) of.add((await chainOfPoint(source, point, spans)) ?? '');
  const { chains, hurt } = await source.oplog.chains();
  const done = { processed: 0, read: 0, transferred: 0, stored: 0 };
  const onSlice = (bytes: number): void => {
    for (const key of ['processed', 'read', 'transferred', 'stored'] as const) done[key] += bytes;
    context.progress({ ...done }, null);
  };
  const copied = await copyOplog({ source: source.parts, target: target.parts, from: oldest(leading), of, clock: context.clock, signal: context.signal, onSlice }, chains);
  return { ...copied, damaged: [...hurt.map(({ object, what }) => ({ object, what })), ...copied.damaged] };
}

async function bringPoint({ source, suffix }: Input, ends: Ends, point: PointManifest, spans: readonly ChainSpan[], report: Report, bytes: ByteCounts, context: TaskContext): Promise<void> {
  context.step(`copy restore point ${point.id}`);
  const { clock, signal } = context;
  const copiedFrom = { repository: source.id, repositoryName: source.name, point: point.id };
  const before = { ...bytes };
  const count = (now: ByteCounts): void => {
    for (const key of ['processed', 'read', 'transferred', 'stored'] as const) bytes[key] = before[key] + now[key];
    context.progress(bytes, null);
  };
  try {
    const copy = await copyPoint({ ...ends, level: 'balanced', workers: usualWorkers(), clock, signal, onProgress: count }, point, { id: `${point.id}-${suffix}`, copiedFrom });
    count(copy.bytes);
    await bringProof(ends, point.id, copy.id);
    report.copied.push(await summaryOf(ends.target, copy, spans));
  } catch (error) {
    if (signal.aborted || !isFailure(error) || !isOfThePoint(error.code)) throw error;
    context.say(`restore point ${point.id} was not copied: ${describe(error)}`, 'warning');
    report.failed.push({ point: point.id, why: describe(error) });
  }
}

/** What is said of one point; anything else ends the run. */
function isOfThePoint(code: string): boolean {
  return /^repository\.(pack-|chunk-|frame-|object-|point-)/.test(code);
}

/** Proofs that a killed run did not come to write, and those that were made since: a failed one too. */
async function bringProofs(input: Input, ends: Ends): Promise<Output['proved']> {
  const proved: Output['proved'] = [];
  for (const { id, copiedFrom } of await copiesIn(input, ends.target)) {
    const proof = await bringProof(ends, copiedFrom!.point, id);
    if (proof !== null) proved.push({ point: id, proof });
  }
  return proved;
}

/**
 * The original was opened on the same bytes: what was found then holds for the copy, once. Clocks do not order the looks of two repositories, so one that found
 * something counts from when it is brought, and one that found nothing takes back only what was brought: what a look at the copy itself found, another one takes back.
 */
async function bringProof({ source, target }: Ends, point: string, copy: string): Promise<PointSummary['proof']> {
  const found = proofsOf((await source.proofs(point)).proofs);
  const proof = verdictOf(found);
  const there = proofsOf((await target.proofs(copy)).proofs);
  const own = verdictOf(there);
  if (proof === null || there.some((one) => isSame(one, proof))) return null;
  if (proof.ok && own?.ok === false && !found.some((one) => isSame(one, own))) return null;
  const brought = { ...proof, says: `${proof.says} (as ${point}, of which this is the copy)` };
  await target.recordProof(copy, brought);
  return brought;
}

function isSame(a: Proof, b: Proof): boolean {
  return a.atMs === b.atMs && a.level === b.level && a.ok === b.ok;
}
