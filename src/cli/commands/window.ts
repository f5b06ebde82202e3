import { sayTime } from '../../base/cluster-time.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showClusterTime, showSeconds } from '../format.ts';
import { pointTable } from '../point-table.ts';
import { showFields } from '../table.ts';

type SetWindow = RouteAnswer<'set.window'>;

export async function showWindow(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('set.window', { params: { set: invocation.args[0]! }, query: { repository: textOf(invocation, 'repository') } });
  invocation.answer(answer, () => describeWindow(answer, invocation.surroundings.timeZone));
  return exitCodes.done;
}

export function describeWindow(window: Pick<SetWindow, 'set' | 'from' | 'to' | 'gaps' | 'barriers' | 'points' | 'damaged' | 'lossIfDisasterNowSeconds'> & { oplog?: SetWindow['oplog'] }, timeZone: string): string {
  const loss = window.lossIfDisasterNowSeconds;
  const oplog = window.oplog === undefined ? [] : [['oplog', `${window.oplog.state}${window.oplog.says === null ? '' : `: ${window.oplog.says}`}`] as const];
  const head = showFields([
    ['set', window.set],
    ['from', showClusterTime(window.from, timeZone)],
    ['to', showClusterTime(window.to, timeZone)],
    ['loss if disaster now', loss === null ? '–' : showSeconds(loss)],
    ...oplog,
  ]);
  const gaps = window.gaps.map((gap) => {
    const until = gap.resumesAt === null ? 'and does not go on before a new restore point is there' : `and goes on at ${sayTime(gap.resumesAt)}`;
    return `gap      ends at ${showClusterTime(gap.after, timeZone)} ${until}: ${gap.reason}`;
  });
  const barriers = window.barriers.map((barrier) => `barrier  ${showClusterTime(barrier.at, timeZone)}: ${barrier.what}`);
  const damaged = window.damaged.map(({ object, what, point }) => `damaged  ${point === null ? '' : `restore point ${point} is hurt: `}${what.includes(object) ? what : `${object}: ${what}`}`);
  const notices = [...gaps, ...barriers, ...damaged];
  const points = window.points.length === 0 ? 'no restore point yet' : `${plural(window.points.length, 'restore point')}\n${pointTable(window.points, timeZone)}`;
  return [head, ...(notices.length === 0 ? [] : ['', ...notices]), '', points].join('\n');
}
