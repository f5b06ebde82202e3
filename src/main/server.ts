/** The backup server as a process: `--data DIR --listen HOST:PORT --transport HOST:PORT [--enrolment HOST:PORT --agents HOST:PORT --announce ADDRESS]`. Says `ready` to its supervisor. */
import { parseArgs } from 'node:util';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { openServer, type Address } from '../server/server.ts';
import { version } from './installation.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, listen: { type: 'string', default: '127.0.0.1:9419' }, transport: { type: 'string', default: '127.0.0.1:6162' }, enrolment: { type: 'string' }, agents: { type: 'string' }, announce: { type: 'string' } } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'server' });

const address = (text: string): Address => {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
};

if (process.send !== undefined) dieWithParent();
try {
  if (values.data === undefined) throw new Error('--data is missing');
  const server = await openServer({
    dataDirectory: values.data,
    listen: address(values.listen),
    transport: address(values.transport),
    enrolment: values.enrolment === undefined ? null : address(values.enrolment),
    agents: values.agents === undefined ? null : address(values.agents),
    announce: values.announce,
    version,
    log,
  });
  const end = (): void => void server.close().finally(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, end);
  const repository = await server.repositoryReady;
  const ready = { kind: 'ready', url: server.url, tokenFile: server.tokenFile, caFile: server.caFile, repository };
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(ready)}\n`);
  else process.send(ready);
} catch (error) {
  log.error('the server could not start', { why: describe(error) });
  process.exit(1);
}
