/**
 * A set restored over several hosts (docs/design/restore-set.md): each step on all of them side by side, the next one when
 * it has ended well everywhere, and everything taken back when it has not.
 */
import { randomBytes } from 'node:crypto';
import { describe, fromWire, toWire, type WireFailure } from '../../base/failure.ts';
import { stopped } from '../../base/failures.ts';
import { uriOfSet } from '../../contract/mongo-uri.ts';
import type { TaskOutput } from '../../contract/tasks.ts';
import { stampFor } from '../../base/clock.ts';
import type { ClusterTime } from '../../base/cluster-time.ts';
import { restoreNotStarted, restoreTakenBack } from '../failures.ts';
import type { Finished, FlowContext } from '../flow.ts';

export type MemberOnHost = { readonly directory: string; readonly host: string; readonly port: number; /** The id of the host it is on. */ readonly node: string };

export type SetOverHosts = {
  readonly repository: string;
  readonly setId: string;
  readonly point: string;
  readonly at: ClusterTime;
  readonly setName: string;
  readonly members: readonly MemberOnHost[];
  readonly start: boolean;
  readonly apply: boolean;
};

/** A host of the restore, its name, and its members. */
export type Part = { readonly id: string; readonly name: string };

type Restore = { readonly id: string; readonly key: string; readonly stamp: string; readonly beganMs: number };
type Laid = TaskOutput<'lay-members'>;

export async function restoreOverHosts(asked: SetOverHosts, parts: readonly Part[], context: FlowContext): Promise<Finished> {
  // Both notes are there before anything is begun, so that a session that was asked to stop still knows what to take back.
  const failed = await context.note<WireFailure | null>('failed', () => null);
  const restore = await context.note('restore', () => newRestore(context));
  if (failed !== null) return await takeBack(restore, asked, parts, fromWire(failed), context);
  let isPlaced = false;
  try {
    await context.step(asked.apply ? 'lay the members down' : 'plan the restore');
    const laid = await layDown(restore, asked, parts, context);
    if (!asked.apply) return finished(asked, restore, parts, laid, [], context);
    await context.step('put the directories in place');
    const aside = await onAll(parts, async (part, stop) => await context.hostTask(`place ${part.id}`, 'place-members', part.id, placing(restore, asked, part, 'place'), { name: part.name, stop }));
    await context.note('placed', () => true);
    isPlaced = true;
    await keep(restore, asked, parts, context);
    if (asked.start) await startAll(restore, asked, parts, laid, context);
    const keptAside = aside.flatMap(({ keptAside: kept }, k) => kept.map((directory) => `${parts[k]!.name}:${directory}`));
    return finished(asked, restore, parts, laid, keptAside, context);
  } catch (error) {
    if (context.isClosing() || isPlaced || !asked.apply) throw error;
    await context.setNote('failed', toWire(error));
    return await takeBack(restore, asked, parts, error, context);
  }
}

function newRestore(context: FlowContext): Restore {
  const beganMs = context.clock.now();
  return { id: randomBytes(12).toString('hex'), key: randomBytes(64).toString('base64'), stamp: stampFor(beganMs), beganMs };
}

const membersFor = (asked: SetOverHosts, part: Part) => asked.members.map(({ node, ...member }) => ({ ...member, isHere: node === part.id }));

const placing = (restore: Restore, asked: SetOverHosts, part: Part, what: 'place' | 'keep' | 'take-back') => ({
  restore: restore.id,
  what,
  members: asked.members.filter(({ node }) => node === part.id).map(({ directory, host, port }) => ({ directory, host, port })),
  stamp: restore.stamp,
});

async function layDown(restore: Restore, asked: SetOverHosts, parts: readonly Part[], context: FlowContext): Promise<Laid[]> {
  const { repository, setId, point, at, setName, apply } = asked;
  return await onAll(parts, async (part, stop) => {
    const input = { restore: restore.id, point, at, setName, members: membersFor(asked, part), key: restore.key, apply };
    return await context.task(`lay ${part.id}`, 'lay-members', { host: part.id, repository, setId, right: 'read' }, async () => await Promise.resolve(input), undefined, { name: part.name, stop });
  });
}

/** Runs it on all hosts. The first failure ends it on the others; their ends are waited for. */
async function onAll<T>(parts: readonly Part[], work: (part: Part, stop: AbortSignal) => Promise<T>): Promise<T[]> {
  const ends = new AbortController();
  let first: { readonly error: unknown; readonly part: Part } | undefined;
  const done = await Promise.allSettled(
    parts.map(async (part) => {
      try {
        return await work(part, ends.signal);
      } catch (error) {
        first ??= { error, part };
        ends.abort(stopped({ what: `the restore, which failed on ${part.name}` }));
        throw error;
      }
    }),
  );
  if (first !== undefined) throw restoreTakenBack({ host: first.part.name, why: describe(first.error), left: [] }, first.error);
  return done.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** What is left where is said, and is part of the failure that is thrown. */
async function takeBack(restore: Restore, asked: SetOverHosts, parts: readonly Part[], why: unknown, context: FlowContext): Promise<never> {
  await context.tell('what was built on every host is taken back');
  const never = new AbortController().signal;
  const back = await Promise.allSettled(
    parts.map(async (part) => await context.hostTask(`take back ${part.id}`, 'place-members', part.id, placing(restore, asked, part, 'take-back'), { name: part.name, stop: never, evenWhenStopped: true })),
  );
  if (context.isClosing()) throw why;
  const left = back.flatMap((one, k) => (one.status === 'rejected' ? [`on ${parts[k]!.name}: ${describe(one.reason)}`] : []));
  for (const line of left) await context.tell(`what was built could not be taken back ${line}`, 'warning');
  context.signal.throwIfAborted();
  const { host = '', why: reason = describe(why) } = toWire(why).details as { host?: string; why?: string };
  throw restoreTakenBack({ host, why: reason, left }, why);
}

/** From here on nothing is taken back, so it is done to the end even if the session is to stop. */
async function keep(restore: Restore, asked: SetOverHosts, parts: readonly Part[], context: FlowContext): Promise<void> {
  const never = new AbortController().signal;
  await Promise.all(
    parts.map(async (part) => {
      const kept = context.hostTask(`keep ${part.id}`, 'place-members', part.id, placing(restore, asked, part, 'keep'), { name: part.name, stop: never, evenWhenStopped: true });
      await kept.catch(async (error: unknown) => {
        if (!context.isClosing()) await context.tell(`the journal of the restore is left on ${part.name}: ${describe(error)}`, 'warning');
      });
    }),
  );
}

async function startAll(restore: Restore, asked: SetOverHosts, parts: readonly Part[], laid: readonly Laid[], context: FlowContext): Promise<void> {
  const key = laid.some(({ needsKey }) => needsKey) ? restore.key : null;
  const input = (part: Part, what: 'start' | 'settle' | 'stop') => ({ what, setName: asked.setName, members: membersFor(asked, part), startCommands: laid[parts.indexOf(part)]!.startCommands, key });
  const [first] = parts as [Part];
  try {
    await context.step('start the members');
    await onAll(parts, async (part, stop) => await context.hostTask(`start ${part.id}`, 'start-members', part.id, input(part, 'start'), { name: part.name, stop }));
    await context.step('wait for a primary and a majority write');
    await onAll([first], async (part, stop) => await context.hostTask('settle', 'start-members', part.id, input(part, 'settle'), { name: part.name, stop }));
  } catch (error) {
    if (context.isClosing()) throw error;
    const never = new AbortController().signal;
    const ended = await Promise.allSettled(parts.map(async (part) => await context.hostTask(`stop ${part.id}`, 'start-members', part.id, input(part, 'stop'), { name: part.name, stop: never, evenWhenStopped: true })));
    if (context.isClosing()) throw error;
    for (const [k, one] of ended.entries()) if (one.status === 'rejected') await context.tell(`members may still run on ${parts[k]!.name}: ${describe(one.reason)}`, 'warning');
    for (const [k, part] of parts.entries()) for (const command of laid[k]!.startCommands) await context.tell(`${part.name}: start it with: ${command.join(' ')}`);
    context.signal.throwIfAborted();
    const { host = '', why = describe(error) } = toWire(error).details as { host?: string; why?: string };
    throw restoreNotStarted({ set: asked.setName, host, why }, error);
  }
}

function finished(asked: SetOverHosts, restore: Restore, parts: readonly Part[], laid: readonly Laid[], keptAside: string[], context: FlowContext): Finished {
  const { apply, start, setName, members, point } = asked;
  const plan = [
    ...laid[0]!.planOfSet,
    ...laid.flatMap(({ plan: lines }, k) => lines.map((line) => `${parts[k]!.name}: ${line}`)),
    start ? 'the members are started when all are in place' : 'the members are left for you to start',
  ];
  const startCommands = laid.flatMap((one) => one.startCommands);
  const startOn = laid.flatMap((one, k) => one.startCommands.map(() => parts[k]!.name));
  const seconds = (context.clock.now() - restore.beganMs) / 1000;
  const uri = apply && start ? uriOfSet(setName, members) : null;
  return { state: 'success', result: { kind: 'restore-set', point, at: laid[0]!.at, documents: null, seconds, plan, applied: apply, startCommands, startOn, keptAside, uri } };
}
