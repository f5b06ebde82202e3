/** Front door of the deployer service: `--settings FILE`. */
import { parseArgs } from 'node:util';
import { openDeployer } from '../agent/deployer.ts';
import { systemdControl } from '../agent/deployer/service-control.ts';
import { dialIn } from '../agent/dial-in.ts';
import { keepRenewed } from '../agent/join.ts';
import { awaitMembership, type Membership } from '../agent/membership.ts';
import { deployerSettings, readSettings, transportSettings, type DeployerSettings } from '../agent/settings.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { writeWhole } from '../base/whole-file.ts';
import { watchIdentity } from '../contract/link/identity-file.ts';
import { openOrderServer, type LinkListener } from '../contract/link/listen.ts';
import { addressOf } from './address-of.ts';
import { version } from './installation.ts';

const { values } = parseArgs({ options: { settings: { type: 'string', default: '/etc/tidemark/deployer.json' } } });
const log = openLog((line) => process.stderr.write(line)).with({ part: 'deployer' });
const ends = new AbortController();
const retryMs = 10_000;

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
  const settings = await readSettings(values.settings, deployerSettings);
  const transport = await readSettings('/etc/tidemark/transport.json', transportSettings).catch(() => transportSettings.parse({}));
  const control = systemdControl({ 'tidemark-transport': transport.status });
  const deployer = await openDeployer({ workDirectory: settings.work, trustedKey: settings.trustedKey, control, version, log });
  // What was interrupted does not wait for the server: the host must be whole even when nobody asks.
  const listening = Promise.withResolvers<void>();
  deployer.resume(listening.promise).catch((error: unknown) => log.error('what was interrupted could not be ended', { why: describe(error) }));
  log.info('waiting for its identity', { file: settings.identity });
  const member = await join(settings);
  let { identity } = member;
  const { handlers } = deployer;
  const { address, port } = settings.listen;
  const dial = settings.dial ?? member.server?.dial ?? undefined;
  let server: LinkListener | undefined;
  if (dial === undefined) {
    const admit = ({ part }: { part: string }): string | undefined => (part === 'server' || part === 'depot' ? undefined : `its certificate is for a ${part}, and only a server or a depot is wanted here`);
    server = await openOrderServer({ host: address ?? undefined, port, identity, admit, handlers, version, log }).catch(async (error: unknown) => {
      await deployer.cannotListen(describe(error));
      throw error;
    });
  } else void dialIn({ ...addressOf(dial), identity: () => identity, handlers, version, clock: systemClock, log, signal: ends.signal });
  const renewed = (next: typeof identity): void => {
    identity = next;
    server?.renew(next);
  };
  watchIdentity(settings.identity, renewed, ends.signal);
  const enrolment = settings.server ?? member.server?.server;
  if (enrolment !== undefined) {
    const { host, port: enrolmentPort } = addressOf(enrolment);
    void keepRenewed({ server: { address: host, enrolmentPort }, identityFile: settings.identity, clock: systemClock, log, signal: ends.signal, onRenewed: renewed });
  }
  const end = async (): Promise<void> => {
    ends.abort();
    await server?.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  listening.resolve();
  log.info('ready for orders', { port: server?.port ?? null, dials: dial ?? null });
} catch (error) {
  log.error('the deployer service could not start', { why: describe(error) });
  process.exit(1);
}
