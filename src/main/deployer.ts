/**
 * Front door of the deployer service: `--settings FILE`. On Windows `--service NAME` has it run as that service, and `--log FILE` is
 * where it says what it does.
 */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { openDeployer } from '../agent/deployer.ts';
import { openHostSystem } from '../agent/deployer/host-system.ts';
import { dialServers } from '../agent/dial-in.ts';
import { keepRenewed } from '../agent/join.ts';
import { openKnownServers, type KnownServers } from '../agent/known-servers.ts';
import { awaitMembership, type Membership } from '../agent/membership.ts';
import { deployerSettings, readSettings, settingsFileOf, transportSettings, type DeployerSettings } from '../agent/settings.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { hostLabel } from '../base/host-label.ts';
import { openLog } from '../base/log.ts';
import { writeWhole } from '../base/whole-file.ts';
import { watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer, type LinkListener } from '../contract/link/listen.ts';
import { addressOf } from './address-of.ts';
import { packagesHere, version } from './installation.ts';
import { openServiceRun } from './service-run.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { settings: { ...text, default: settingsFileOf('deployer') }, service: text, log: text } });
let end = async (): Promise<void> => await Promise.resolve(run.exit(0));
const run = openServiceRun({ service: values.service, logFile: values.log, home: dirname(values.settings), onStop: () => void end() });
const log = openLog(run.write).with({ part: 'deployer' });
const ends = new AbortController();
const retryMs = 10_000;
let servers: KnownServers | undefined;
const given = (place: string | null) => (place === null ? undefined : addressOf(place));

/** A server that is not there yet is no reason to end: too many ends are taken for a version that does not work. */
async function join(settings: DeployerSettings): Promise<Membership> {
  const { identity: identityFile, kit: kitFile, work: workDirectory } = settings;
  for (;;) {
    try {
      const onKit = async ({ packageKey }: { packageKey: string | null }): Promise<void> => {
        if (packageKey !== null) await writeWhole(settings.trustedKey, packageKey, 0o644);
      };
      return await awaitMembership({ part: 'deployer', identityFile, kitFile, workDirectory, version, log, ms: 86_400_000, onKit });
    } catch (error) {
      log.error('this host has not enrolled', { why: describe(error) });
      await systemClock.wait(retryMs);
    }
  }
}

try {
  await run.begin(log);
  const settings = await readSettings(values.settings, deployerSettings);
  const transport = await readSettings(settingsFileOf('transport'), transportSettings).catch(() => transportSettings.parse({}));
  const system = await openHostSystem({ 'tidemark-transport': transport.status }, packagesHere);
  const deployer = await openDeployer({ workDirectory: settings.work, trustedKey: settings.trustedKey, ...system, version, log, onServers: async (told) => await servers?.learn(told) });
  run.ready();
  // What was interrupted does not wait for the server: the host must be whole even when nobody asks.
  const listening = Promise.withResolvers<void>();
  deployer.resume(listening.promise).catch((error: unknown) => log.error('what was interrupted could not be ended', { why: describe(error) }));
  log.info('waiting for its identity', { file: settings.identity });
  const member = await join(settings);
  let { identity } = member;
  const { handlers } = deployer;
  const { address, port } = settings.listen;
  const known = openKnownServers({ workDirectory: settings.work, known: member.servers, given: { server: given(settings.server), dial: given(settings.dial) } });
  servers = known;
  const isDialling = known.dials().length > 0;
  let server: LinkListener | undefined;
  if (!isDialling) {
    const admit = ({ part }: { part: string }): string | undefined => (part === 'server' || part === 'depot' ? undefined : `its certificate is for a ${part}, and only a server or a depot is wanted here`);
    server = await openOrderServer({ host: address ?? undefined, port, identity, admit, handlers, version, log }).catch(async (error: unknown) => {
      await deployer.cannotListen(describe(error));
      throw error;
    });
  } else void dialServers(known, { identity: () => identity, handlers, version, clock: systemClock, log, signal: ends.signal });
  const renewed = (next: typeof identity): void => {
    identity = next;
    server?.renew(next);
  };
  watchIdentity(settings.identity, renewed, ends.signal);
  void keepRenewed({ servers: known, identityFile: settings.identity, clock: systemClock, log, signal: ends.signal, onRenewed: renewed });
  end = async () => {
    ends.abort();
    await server?.close();
    run.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  listening.resolve();
  log.info('ready for orders', { port: server?.port ?? null, dials: known.dials().map(hostLabel).join(', ') });
} catch (error) {
  log.error('the deployer service could not start', { why: describe(error) });
  run.exit(1);
}
