import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { countOf, showCopies } from '../limit-words.ts';

export async function limitServer(invocation: Invocation): Promise<ExitCode> {
  const copiesAtOnce = countOf(invocation, 'copies', { from: 1, to: 10_000 });
  const client = await invocation.client();
  const limits = copiesAtOnce === undefined ? { copiesAtOnce: (await client.call('server.info')).copiesAtOnce } : await client.call('server.limit', { body: { copiesAtOnce } });
  invocation.answer(limits, () => `the server: copies of ${showCopies(limits.copiesAtOnce)}`);
  return exitCodes.done;
}
