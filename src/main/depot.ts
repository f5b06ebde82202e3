/**
 * Front door of the distribution server: `--data DIRECTORY --identity FILE [--listen HOST:PORT] [--installer HOST:PORT]`. On a
 * host of its own it enrols with a kit, DIRECTORY/kit.json; beside the server it is given its identity.
 *
 * With `--add FILE [--sign]` it only puts that package into DIRECTORY and says on stdout, in JSON, what became of it.
 *
 * On Windows `--service NAME` has it run as that service, and `--log FILE` is where it says what it does.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { keepRenewed } from '../agent/join.ts';
import { openKnownServers } from '../agent/known-servers.ts';
import { awaitMembership } from '../agent/membership.ts';
import { systemClock } from '../base/clock.ts';
import { describe, toWire } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { watchIdentity } from '../contract/link/identity-file.ts';
import { addPackage } from '../depot/add-package.ts';
import { openDepot } from '../depot/depot.ts';
import { addressOf } from './address-of.ts';
import { version } from './installation.ts';
import { openServiceRun } from './service-run.ts';

if (process.connected) dieWithParent(15);
const text = (usual: string) => ({ type: 'string', default: usual }) as const;
const { values } = parseArgs({ options: { data: text('/var/lib/tidemark/depot'), identity: text('/var/lib/tidemark/depot/identity.json'), listen: text(':9380'), installer: text(':11731'), add: { type: 'string' }, sign: { type: 'boolean', default: false }, service: { type: 'string' }, log: { type: 'string' } } });
let end = async (): Promise<void> => await Promise.resolve(run.exit(0));
const run = openServiceRun({ service: values.service, logFile: values.log, home: dirname(values.data), onStop: () => void end() });
const log = openLog(run.write).with({ part: 'depot' });
const ends = new AbortController();

/** `:9380` is that port on all addresses. */
const bind = (address: string): { host?: string; port: number } => {
  const { host, port } = addressOf(address);
  return { host: host === '' ? undefined : host, port };
};

async function serve(): Promise<void> {
  const { data: directory, identity: identityFile } = values;
  await run.begin(log);
  run.ready();
  // Where its kit is laid down after it was installed.
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { identity, servers } = await awaitMembership({ part: 'depot', identityFile, kitFile: join(directory, 'kit.json'), workDirectory: directory, version, log, ms: 86_400_000 });
  const depot = await openDepot({ directory, identity, api: bind(values.listen), installer: bind(values.installer), version, log });
  watchIdentity(identityFile, (renewed) => depot.renew(renewed), ends.signal);
  const known = openKnownServers({ workDirectory: directory, known: servers, given: {} });
  void keepRenewed({ servers: known, identityFile, clock: systemClock, log, signal: ends.signal, onRenewed: (renewed) => depot.renew(renewed) });
  end = async () => {
    ends.abort();
    await depot.close();
    run.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, () => void end());
  log.info('listening', { api: depot.apiPort, installer: depot.installerPort });
  process.send?.({ kind: 'ready', api: depot.apiPort, installer: depot.installerPort });
}

async function add(file: string): Promise<void> {
  const said = await addPackage(values.data, file, values.sign, systemClock).then((added) => ({ added }), (error: unknown) => ({ failure: toWire(error) }));
  process.stdout.write(JSON.stringify(said));
}

try {
  if (values.add === undefined) await serve();
  else await add(values.add);
} catch (error) {
  log.error('the distribution server could not start', { why: describe(error) });
  run.exit(1);
}
