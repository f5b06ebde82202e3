/** The backup server as a process, or with `--data DIR --recover` what makes one of a copy of its configuration: `--data DIR --listen HOST:PORT --transport HOST:PORT [--enrolment HOST:PORT --agents HOST:PORT --announce ADDRESS --depot HOST:PORT --installer-port PORT [--depot-is-here]] [--dns ADDRESS[:PORT] …] [--catalog postgres://USER@HOST/DATABASE [--catalog-password-file FILE] [--catalog-backed-up]]`. Says `ready` to its supervisor. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { openServer } from '../server/server.ts';
import { addressOf } from './address-of.ts';
import { version, windowsInstaller } from './installation.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, listen: { type: 'string', default: '127.0.0.1:9419' }, transport: { type: 'string', default: '127.0.0.1:6162' }, enrolment: { type: 'string' }, agents: { type: 'string' }, announce: { type: 'string' }, depot: { type: 'string' }, 'installer-port': { type: 'string', default: '11731' }, 'depot-is-here': { type: 'boolean', default: false }, dns: { type: 'string', multiple: true }, catalog: { type: 'string' }, 'catalog-password-file': { type: 'string' }, 'catalog-backed-up': { type: 'boolean', default: false }, recover: { type: 'boolean', default: false } } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'server' });

const distribution = () => {
  if (values.depot === undefined) return null;
  const { host, port } = addressOf(values.depot);
  return { host, apiPort: port, installerPort: Number(values['installer-port']), isLocal: values['depot-is-here'] };
};

if (process.send !== undefined) dieWithParent();
try {
  if (values.data === undefined) throw new Error('--data is missing');
  if (values.recover) {
    const { answerRecovery } = await import('./recover-server.ts');
    process.stdout.write(`${await answerRecovery(values.data, process.stdin)}\n`, () => process.exit(0));
    await new Promise(() => {});
  }
  const server = await openServer({
    // Its repository is named to the transport, which was started elsewhere.
    dataDirectory: resolve(values.data),
    listen: addressOf(values.listen),
    transport: addressOf(values.transport),
    ...(values.catalog !== undefined && { catalog: { kind: 'postgres', url: values.catalog, passwordFile: values['catalog-password-file'] ?? null, isBackedUp: values['catalog-backed-up'] } }),
    enrolment: values.enrolment === undefined ? null : addressOf(values.enrolment),
    agents: values.agents === undefined ? null : addressOf(values.agents),
    announce: values.announce,
    distribution: distribution(),
    windowsInstaller,
    ...(values.dns !== undefined && { dns: values.dns.map(addressOf).map(({ host, port }) => ({ address: host, port })) }),
    version,
    log,
  });
  const end = (): void => void server.close().finally(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, end);
  void server.replaced.then((why) => {
    log.error('this server ends, to start again', { why: describe(why) });
    process.exit(1);
  });
  const repository = await server.repositoryReady;
  const ready = { kind: 'ready', url: server.url, tokenFile: server.tokenFile, caFile: server.caFile, repository };
  if (process.send === undefined) process.stdout.write(`${JSON.stringify(ready)}\n`);
  else process.send(ready);
} catch (error) {
  log.error('the server could not start', { why: describe(error) });
  process.exit(1);
}
