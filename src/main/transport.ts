/**
 * Front door of the transport service. On a managed host: `--settings FILE`. Below `tidemark up`:
 * `--identity FILE --work DIRECTORY --listen HOST:PORT`. What is given in words counts more than the file.
 *
 * `--check` only looks whether the port is free, for a service manager that runs it as root: another user's process can
 * be named by root alone.
 */
import { parseArgs } from 'node:util';
import { answerStatus } from '../agent/service-status.ts';
import { readSettings, transportSettings } from '../agent/settings.ts';
import { openTransport } from '../agent/transport.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { awaitIdentity, watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer, requireFreePort } from '../contract/link/listen.ts';
import { programs, version } from './installation.ts';

if (process.connected) dieWithParent(15);
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { settings: text, identity: text, work: text, listen: text, check: { type: 'boolean' } } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'transport' });
const ends = new AbortController();

try {
  const settings = await readSettings(values.settings ?? '/nowhere', transportSettings);
  const colon = values.listen?.lastIndexOf(':') ?? -1;
  const address = values.listen === undefined ? settings.listen : { address: values.listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(values.listen.slice(colon + 1)) };
  const bind = { host: address.address ?? undefined, port: address.port };
  if (values.check === true) {
    await requireFreePort(bind);
    process.exit(0);
  }
  const identityFile = values.identity ?? settings.identity;
  const transport = await openTransport({ workDirectory: values.work ?? settings.work, programs, version, log });
  let port: number | null = null;
  const status = () => ({ version, pid: process.pid, state: port === null ? ('waiting' as const) : ('listening' as const), port, tasks: transport.tasks() });
  const answering = values.settings === undefined ? undefined : await answerStatus(settings.status, { status, drain: transport.drain });
  log.info('waiting for its identity', { file: identityFile });
  const identity = await awaitIdentity(identityFile, values.settings === undefined ? 60_000 : 86_400_000);
  const server = await openOrderServer({ ...bind, identity, handlers: transport.handlers, version, log });
  port = server.port;
  watchIdentity(identityFile, (renewed) => server.renew(renewed), ends.signal);
  const end = async (): Promise<void> => {
    ends.abort();
    await server.close();
    await transport.close();
    await answering?.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  process.on('disconnect', () => void end());
  log.info('listening', { port });
  process.send?.({ kind: 'ready', port: server.port });
} catch (error) {
  log.error('the transport service could not start', { why: describe(error) });
  process.exit(1);
}
