/** Front door of the distribution server: `--data DIRECTORY --identity FILE [--listen HOST:PORT] [--installer HOST:PORT]`. */
import { parseArgs } from 'node:util';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { awaitIdentity, watchIdentity } from '../contract/link/identity-file.ts';
import { openDepot } from '../depot/depot.ts';
import { version } from './installation.ts';

if (process.connected) dieWithParent(15);
const text = (usual: string) => ({ type: 'string', default: usual }) as const;
const { values } = parseArgs({ options: { data: text('/var/lib/tidemark/depot'), identity: text('/var/lib/tidemark/depot/identity.json'), listen: text(':9380'), installer: text(':11731') } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'depot' });
const ends = new AbortController();

/** `:9380` is that port on all addresses. */
const bind = (address: string): { host?: string; port: number } => {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { host: host === '' ? undefined : host, port: Number(address.slice(colon + 1)) };
};

try {
  const identity = await awaitIdentity(values.identity, 86_400_000);
  const depot = await openDepot({ directory: values.data, identity, api: bind(values.listen), installer: bind(values.installer), version, log });
  watchIdentity(values.identity, (renewed) => depot.renew(renewed), ends.signal);
  const end = (): void => {
    ends.abort();
    void depot.close().then(() => process.exit(0));
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, end);
  log.info('listening', { api: depot.apiPort, installer: depot.installerPort });
  process.send?.({ kind: 'ready', api: depot.apiPort, installer: depot.installerPort });
} catch (error) {
  log.error('the distribution server could not start', { why: describe(error) });
  process.exit(1);
}
