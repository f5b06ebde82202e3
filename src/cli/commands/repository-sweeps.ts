import type { Repository } from '../../contract/routes/repositories.ts';
import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showMoment } from '../format.ts';
import { nightlyOf } from '../numbers.ts';

export async function sweepRepositoryByItself(invocation: Invocation): Promise<ExitCode> {
  const name = invocation.args[0]!;
  const { days, at } = nightlyOf(invocation, 365);
  const client = await invocation.client();
  const known = await client.call('repository.show', { params: { repository: name } });
  const isShown = days === undefined && at === undefined;
  const repository = isShown ? known : await client.call('repository.sweeps', { params: { repository: name }, body: { days: days ?? known.sweeps?.days ?? 7, at: at ?? known.sweeps?.at ?? '04:00' } });
  invocation.answer(repository, () => `repository ${repository.name}: ${showSweeps(repository.sweeps, invocation.surroundings.timeZone)}`);
  return exitCodes.done;
}

export function showSweeps(sweeps: Repository['sweeps'], timeZone: string): string {
  if (sweeps === null) return 'not by itself; it is only read';
  if (sweeps.days === null) return 'not by itself';
  const next = sweeps.nextAtMs === null ? '' : `, next at ${showMoment(sweeps.nextAtMs, timeZone)}`;
  return `about every ${plural(sweeps.days, 'day')}${next}`;
}
