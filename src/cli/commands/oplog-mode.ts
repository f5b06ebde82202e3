import type { ProtectedSet } from '../../contract/routes/sets.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showSeconds } from '../format.ts';
import { durationOf, usageOf } from '../numbers.ts';

export async function pauseOplog(invocation: Invocation): Promise<ExitCode> {
  const set = await (await invocation.client()).call('oplog.pause', { params: { set: invocation.args[0]! }, body: { reason: textOf(invocation, 'reason')! } });
  invocation.answer(set, () => `the oplog of ${set.name} is paused; ${coverOf(set)}`);
  return exitCodes.done;
}

/** How long it may stay paused without a gap, as far as is known. */
function coverOf({ oplog }: ProtectedSet): string {
  const longest = oplog.members.flatMap(({ reachSeconds }) => reachSeconds ?? []).sort((a, b) => a - b).at(-1);
  return longest === undefined ? 'nobody knows yet for how long the members\' own oplogs cover it' : `at this rate the members' own oplogs cover ${showSeconds(longest)}`;
}

export async function resumeOplog(invocation: Invocation): Promise<ExitCode> {
  const set = await (await invocation.client()).call('oplog.resume', { params: { set: invocation.args[0]! } });
  invocation.answer(set, () => `the oplog of ${set.name} goes on, ${howOften(set)}`);
  return exitCodes.done;
}

export async function takeOplog(invocation: Invocation): Promise<ExitCode> {
  const [seconds, isContinuous] = [durationOf(invocation, 'every'), isGiven(invocation, 'continuous')];
  if ((seconds !== undefined) === isContinuous) throw usageOf(invocation, 'give either --every or --continuous');
  if (seconds !== undefined && (seconds < 60 || seconds % 60 !== 0 || seconds > 86_400)) throw usageOf(invocation, '--every takes whole minutes, from one to a day');
  const set = await (await invocation.client()).call('oplog.every', { params: { set: invocation.args[0]! }, body: { everyMinutes: seconds === undefined ? null : seconds / 60 } });
  invocation.answer(set, () => `the oplog of ${set.name} is taken ${howOften(set)}`);
  return exitCodes.done;
}

export function howOften({ oplogEveryMinutes }: Pick<ProtectedSet, 'oplogEveryMinutes'>): string {
  return oplogEveryMinutes === null ? 'all the time' : `every ${oplogEveryMinutes} min`;
}
