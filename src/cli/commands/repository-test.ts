import type { Session } from '../../contract/sessions.ts';
import { chosenRepository } from '../chosen-repository.ts';
import { textOf, type Invocation } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { showBytes } from '../format.ts';
import { numberOf } from '../numbers.ts';
import { answerWithSession } from '../session-answer.ts';

export async function testRepository(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const body = { host: textOf(invocation, 'node') ?? null, megabytes: numberOf(invocation, 'size', { from: 1, to: 4096 }) };
  const session = await client.call('repository.test', { params: { repository: await chosenRepository(invocation, client) }, body });
  return await answerWithSession(invocation, client, session, describeTest);
}

const words = { good: 'good', doubtful: 'SEE TO IT', bad: 'BAD' } as const;

function describeTest({ result }: Session): string {
  if (result?.kind !== 'test') return '';
  const rate = (bytes: number, seconds: number): string => `${(bytes / 1e6 / Math.max(seconds, 1e-6)).toFixed(1)} MB/s`;
  return [
    ...result.findings.map(({ what, level, says }) => `${words[level].padEnd(9)}  ${what}: ${says}`),
    ...result.speeds.map(({ what, bytes, writeSeconds, readSeconds }) => `${what}: written at ${rate(bytes, writeSeconds)}, read at ${rate(bytes, readSeconds)}`),
    result.freeBytes === null ? 'free space: the place does not say' : `free space: ${showBytes(result.freeBytes)}`,
    `tried by ${result.host}: ${result.ok ? 'it keeps what a repository needs' : 'it must NOT hold a repository'}`,
  ].join('\n');
}
