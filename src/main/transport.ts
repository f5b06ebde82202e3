/** Front door of the transport service: `--identity FILE --work DIRECTORY --listen HOST:PORT`. */
import { parseArgs } from 'node:util';
import { openTransport } from '../agent/transport.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { awaitIdentity, watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer } from '../contract/link/listen.ts';
import { programs, version } from './installation.ts';

if (process.connected) dieWithParent(15);
const { values } = parseArgs({ options: { identity: { type: 'string' }, work: { type: 'string' }, listen: { type: 'string' } } });
const { identity: identityFile = '', work: workDirectory = '', listen = '127.0.0.1:6162' } = values;
const log = openLog((line) => process.stderr.write(line)).with({ part: 'transport' });
const ends = new AbortController();

try {
  const identity = await awaitIdentity(identityFile, 60_000);
  const transport = await openTransport({ workDirectory, programs, identityFile, version, log });
  const colon = listen.lastIndexOf(':');
  const server = await openOrderServer({ host: listen.slice(0, colon), port: Number(listen.slice(colon + 1)), identity, handlers: transport.handlers, other: transport.dataConnections, version, log });
  watchIdentity(identityFile, (renewed) => server.renew(renewed), ends.signal);
  const end = async (): Promise<void> => {
    ends.abort();
    await server.close();
    await transport.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  process.on('disconnect', () => void end());
  process.send?.({ kind: 'ready', port: server.port });
} catch (error) {
  log.error('the transport service could not start', { why: describe(error) });
  process.exit(1);
}
