import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { bandwidthFrom, countOf, showBandwidth, showCopies } from '../limit-words.ts';
import { findNode } from './node.ts';

export async function limitNode(invocation: Invocation): Promise<ExitCode> {
  const [name = '', ...words] = invocation.args as string[];
  const body = { limits: bandwidthFrom(invocation, words), copiesAtOnce: countOf(invocation, 'copies', { from: 1, to: 32 }) };
  const client = await invocation.client();
  const isShown = Object.values(body).every((value) => value === undefined);
  const host = isShown ? await findNode(client, name) : await client.call('host.limit', { params: { host: name }, body });
  invocation.answer(host, () => `${host.name}: bandwidth ${showBandwidth(host.limits)}; copies of ${showCopies(host.copiesAtOnce)}`);
  return exitCodes.done;
}
