/**
 * Front door of the transport service: `--identity FILE --work DIRECTORY --listen HOST:PORT`.
 *
 * On a host of its own: `--kit FILE` enrols it at its first start (the kit is removed once its token is used), `--server HOST:PORT`
 * is where it renews its certificate, and `--dial HOST:PORT` makes it open the order link itself, where nobody may dial it.
 */
import { readFile, rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { dialIn } from '../agent/dial-in.ts';
import { joinServer, keepRenewed } from '../agent/join.ts';
import { openTransport } from '../agent/transport.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { awaitIdentity, readIdentity, watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer } from '../contract/link/listen.ts';
import { hostKit } from '../contract/routes/hosts.ts';
import { programs, version } from './installation.ts';

if (process.connected) dieWithParent(15);
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { identity: text, work: text, listen: text, kit: text, server: text, dial: text } });
const { identity: identityFile = '', work: workDirectory = '', listen = '127.0.0.1:6162' } = values;
const log = openLog((line) => process.stderr.write(line)).with({ part: 'transport' });
const ends = new AbortController();

const addressOf = (given: string): { host: string; port: number } => {
  const colon = given.lastIndexOf(':');
  return { host: given.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(given.slice(colon + 1)) };
};

async function enrolOnce(kitFile: string): Promise<void> {
  if ((await readIdentity(identityFile)) !== undefined) return;
  const kit = hostKit.parse(JSON.parse(await readFile(kitFile, 'utf8')));
  const host = await joinServer(kit, identityFile, version);
  log.info('enrolled', { host, name: kit.host, server: kit.server.address });
  await rm(kitFile, { force: true });
}

try {
  if (values.kit !== undefined) await enrolOnce(values.kit);
  let identity = await awaitIdentity(identityFile, 60_000);
  const transport = await openTransport({ workDirectory, programs, identityFile, version, log });
  const { handlers } = transport;
  const server = values.dial === undefined ? await openOrderServer({ ...addressOf(listen), identity, handlers, version, log }) : undefined;
  const dialling = values.dial === undefined ? undefined : dialIn({ ...addressOf(values.dial), identity: () => identity, handlers, version, clock: systemClock, log, signal: ends.signal });
  const renewed = (next: typeof identity): void => {
    identity = next;
    server?.renew(next);
  };
  watchIdentity(identityFile, renewed, ends.signal);
  if (values.server !== undefined) {
    const { host: address, port: enrolmentPort } = addressOf(values.server);
    void keepRenewed({ server: { address, enrolmentPort }, identityFile, clock: systemClock, log, signal: ends.signal, onRenewed: renewed });
  }
  const end = async (): Promise<void> => {
    ends.abort();
    await server?.close();
    await dialling;
    await transport.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  process.on('disconnect', () => void end());
  process.send?.({ kind: 'ready', port: server?.port ?? null });
} catch (error) {
  log.error('the transport service could not start', { why: describe(error) });
  process.exit(1);
}
