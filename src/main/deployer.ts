/** Front door of the deployer service: `--settings FILE`. */
import { parseArgs } from 'node:util';
import { openDeployer } from '../agent/deployer.ts';
import { systemdControl } from '../agent/deployer/service-control.ts';
import { deployerSettings, readSettings, transportSettings } from '../agent/settings.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { awaitIdentity, watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer } from '../contract/link/listen.ts';
import { version } from './installation.ts';

const { values } = parseArgs({ options: { settings: { type: 'string', default: '/etc/tidemark/deployer.json' } } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'deployer' });
const ends = new AbortController();

try {
  const settings = await readSettings(values.settings, deployerSettings);
  const transport = await readSettings('/etc/tidemark/transport.json', transportSettings).catch(() => transportSettings.parse({}));
  const control = systemdControl({ 'tidemark-transport': transport.status });
  const deployer = await openDeployer({ workDirectory: settings.work, trustedKey: settings.trustedKey, control, version, log });
  // What was interrupted does not wait for the server: the host must be whole even when nobody asks.
  const listening = Promise.withResolvers<void>();
  deployer.resume(listening.promise).catch((error: unknown) => log.error('what was interrupted could not be ended', { why: describe(error) }));
  log.info('waiting for its identity', { file: settings.identity });
  const identity = await awaitIdentity(settings.identity, 86_400_000);
  const { address, port } = settings.listen;
  const server = await openOrderServer({ host: address ?? undefined, port, identity, handlers: deployer.handlers, version, log });
  watchIdentity(settings.identity, (renewed) => server.renew(renewed), ends.signal);
  const end = (): void => {
    ends.abort();
    void server.close().then(() => process.exit(0));
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  listening.resolve();
  log.info('listening', { port: server.port });
} catch (error) {
  log.error('the deployer service could not start', { why: describe(error) });
  process.exit(1);
}
