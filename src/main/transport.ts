/**
 * Front door of the transport service. On a managed host: `--settings FILE`. Below `tidemark up` and by hand:
 * `--identity FILE --work DIRECTORY --listen HOST:PORT`. What is given in words counts more than the file.
 *
 * `--kit FILE` enrols the host at its first start (the kit is removed once its token is used), `--server HOST:PORT` is
 * where it renews its certificate, and `--dial HOST:PORT` makes it open the order link itself, where nobody may dial it.
 * `--check` only looks whether the port is free, for a service manager that runs it as root: another user's process can
 * be named by root alone.
 *
 * On Windows `--service NAME` has it run as that service, and `--log FILE` is where it says what it does.
 */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { dialServers } from '../agent/dial-in.ts';
import { keepRenewed } from '../agent/join.ts';
import { openKnownServers, type KnownServers } from '../agent/known-servers.ts';
import { awaitMembership } from '../agent/membership.ts';
import { answerStatus } from '../agent/service-status.ts';
import { readSettings, transportSettings } from '../agent/settings.ts';
import { openTransport } from '../agent/transport.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { hostLabel } from '../base/host-label.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer, requireFreePort } from '../contract/link/listen.ts';
import { addressOf } from './address-of.ts';
import { programs, version } from './installation.ts';
import { openServiceRun } from './service-run.ts';

if (process.connected) dieWithParent(15);
const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { settings: text, identity: text, work: text, listen: text, kit: text, server: text, dial: text, service: text, log: text, check: { type: 'boolean' } } });
let end = async (): Promise<void> => run.exit(0);
const run = openServiceRun({ service: values.service, logFile: values.log, home: values.settings === undefined ? undefined : dirname(values.settings), onStop: () => void end() });
const log = openLog(run.write).with({ part: 'transport' });
const ends = new AbortController();
let servers: KnownServers | undefined;
const given = (...places: (string | null | undefined)[]) => places.flatMap((place) => (place == null ? [] : [addressOf(place)]))[0];

try {
  await run.begin(log);
  const isManaged = values.settings !== undefined;
  const settings = await readSettings(values.settings, transportSettings);
  const listen = values.listen === undefined ? { host: settings.listen.address ?? undefined, port: settings.listen.port } : addressOf(values.listen);
  if (values.check === true) {
    await requireFreePort(listen);
    process.exit(0);
  }
  const identityFile = values.identity ?? settings.identity;
  const workDirectory = values.work ?? settings.work;
  const transport = await openTransport({ workDirectory, programs, identityFile, dataPorts: isManaged ? settings.data : undefined, version, log, output: run.output, onServers: async (told) => await servers?.learn(told) });
  end = async () => {
    await transport.close();
    run.exit(0);
  };
  run.ready();
  let port: number | null = null;
  let state: 'waiting' | 'listening' = 'waiting';
  const status = () => ({ version, pid: process.pid, state, port, tasks: transport.tasks() });
  const answering = isManaged ? await answerStatus(settings.status, { status, drain: transport.drain }) : undefined;

  const kitFile = values.kit ?? (isManaged ? settings.kit : undefined);
  const member = await awaitMembership({ part: 'transport', identityFile, kitFile, workDirectory, version, log, ms: isManaged ? 86_400_000 : 60_000 });
  let { identity } = member;
  const { handlers } = transport;
  const known = openKnownServers({ workDirectory, known: member.servers, given: { server: given(values.server, settings.server), dial: given(values.dial, settings.dial) } });
  servers = known;
  const isDialling = known.dials().length > 0;
  const server = isDialling ? undefined : await openOrderServer({ ...listen, identity, handlers, other: transport.dataConnections, version, log });
  const dialling = isDialling ? dialServers(known, { identity: () => identity, handlers, version, clock: systemClock, log, signal: ends.signal }) : undefined;
  const renewed = (next: typeof identity): void => {
    identity = next;
    server?.renew(next);
  };
  watchIdentity(identityFile, renewed, ends.signal);
  void keepRenewed({ servers: known, identityFile, clock: systemClock, log, signal: ends.signal, onRenewed: renewed });
  port = server?.port ?? null;
  state = 'listening';
  end = async () => {
    ends.abort();
    await server?.close();
    await dialling;
    await transport.close();
    await answering?.close();
    run.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  process.on('disconnect', () => void end());
  log.info('ready for orders', { port, dials: known.dials().map(hostLabel).join(', ') });
  process.send?.({ kind: 'ready', port });
} catch (error) {
  log.error('the transport service could not start', { why: describe(error) });
  run.exit(1);
}
