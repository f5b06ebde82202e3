/**
 * `tidemark`, whose server gives up what is away after seconds in place of minutes: `up` is the server alone with short
 * deadlines, every other command is the product's own.
 */
import { parseArgs } from 'node:util';
import { silentLog } from '../../src/base/log.ts';
import type { Address } from '../../src/server/server.ts';

if (process.argv[2] === 'up') await serve(process.argv.slice(3));
else await import('../../src/main/tidemark.ts');

async function serve(args: string[]): Promise<void> {
  const { openServer } = await import('../../src/server/server.ts');
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { data: text, listen: text, 'transport-listen': text, hosts: text, json: { type: 'boolean' } } });
  const at = (given: string): Address => ({ host: given.slice(0, given.lastIndexOf(':')), port: Number(given.slice(given.lastIndexOf(':') + 1)) });
  const server = await openServer({
    dataDirectory: values.data!,
    listen: at(values.listen!),
    transport: at(values['transport-listen']!),
    enrolment: { host: values.hosts!, port: 10002 },
    agents: { host: values.hosts!, port: 10006 },
    announce: values.hosts!,
    version: 'test',
    log: silentLog,
    timing: { hostLostMs: 8_000, stopWithinMs: 5_000, link: { pingMs: 1_000, deadMs: 6_000 } },
  });
  const end = (): void => void server.close().finally(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  process.stdout.write(`${JSON.stringify({ url: server.url, tokenFile: server.tokenFile })}\n`);
}
