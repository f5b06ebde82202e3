import type { Repository } from '../../contract/routes/repositories.ts';
import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showMoment } from '../format.ts';
import { nightlyOf } from '../numbers.ts';

export async function rereadRepository(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const { days, at } = nightlyOf(invocation, 3_650);
  const client = await invocation.client();
  const known = await client.call('repository.show', { params: { repository: name } });
  const isShown = days === undefined && at === undefined;
  const repository = isShown ? known : await client.call('repository.reread', { params: { repository: name }, body: { days: days ?? known.reread?.days ?? 30, at: at ?? known.reread?.at ?? '01:00' } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showReread(repository.reread, invocation.surroundings.timeZone)}`);
  return exitCodes.done;
}

export function showReread(reread: Repository['reread'], timeZone: string): string {
  if (reread === null) return 'not by itself; it is only read';
  if (reread.days === null) return 'not by itself';
  const next = reread.nextAtMs === null ? '' : `, next at ${showMoment(reread.nextAtMs, timeZone)}`;
  const done = reread.readSinceMs === null ? `${reread.partsRead} of ${reread.days} parts were read` : `everything was read since ${showMoment(reread.readSinceMs, timeZone)}`;
  return `within ${plural(reread.days, 'day')}${next}; ${done}`;
}
