/** What the deployer asks of the manager of services, which on Linux is systemd, of a package's own setup.sh and of the services themselves. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram, runProgram } from '../../base/child-process.ts';
import type { PackageName } from '../../contract/packages.ts';
import { askStatus, type ServiceStatus } from '../service-status.ts';

export type SetupVerb = 'prepare' | 'enable' | 'disable' | 'purge';

export type ServiceControl = {
  /** Runs one verb of the setup.sh in a version's directory. */
  setup(directory: string, verb: SetupVerb): Promise<void>;
  restart(name: PackageName): Promise<void>;
  /** Asks for a restart and does not wait: for the service that asks. */
  restartLater(name: PackageName): Promise<void>;
  /** `active`, `activating`, `failed`, `inactive`. */
  state(name: PackageName): Promise<string>;
  /** How often systemd has started it again by itself since somebody asked for a start. */
  restarts(name: PackageName): Promise<number>;
  /** What the service says of itself; undefined when it does not answer. */
  status(name: PackageName): Promise<ServiceStatus | undefined>;
  drain(name: PackageName, on: boolean): Promise<ServiceStatus | undefined>;
  /** The last error in the service's log, or nothing. */
  lastWords(name: PackageName): Promise<string>;
  /** Has units and their additions read again. */
  reload(): Promise<void>;
  /** Takes the package out of dpkg's or rpm's list, if it came by them. */
  forgetPackage(name: PackageName): Promise<void>;
  /** Has the deployer's own package and files taken away by something that outlives it: it cannot remove the ground it stands on. */
  removeSelf(): Promise<void>;
};

const quick = { deadlineMs: 20_000 };
const slow = { deadlineMs: 90_000 };
/** A child of a hardened service starts with an empty environment. */
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

const place = '/opt/tidemark/deployer';
const removeDeployer = `sleep 1
systemctl stop tidemark-deployer.service
cp ${place}/current/purge.sh /run/tidemark-purge.sh
sh ${place}/current/setup.sh disable
if [ -x /usr/bin/dpkg ] && dpkg-query -W tidemark-deployer >/dev/null 2>&1; then dpkg --purge tidemark-deployer; fi
if [ -x /usr/bin/rpm ] && rpm -q tidemark-deployer >/dev/null 2>&1; then rpm -e --noscripts tidemark-deployer; fi
rm -rf /opt/tidemark/transport ${place}
sh /run/tidemark-purge.sh
rm -f /run/tidemark-purge.sh
systemctl reset-failed 2>/dev/null`;

export function systemdControl(statusSockets: Partial<Record<PackageName, string>>): ServiceControl {
  const systemctl = async (...args: string[]): Promise<string> => await requireProgram('systemctl', args, { ...slow, env });
  const ask = async (name: PackageName, drain?: boolean): Promise<ServiceStatus | undefined> => {
    const socket = statusSockets[name];
    return socket === undefined ? undefined : await askStatus(socket, { order: drain === undefined ? undefined : { drain } });
  };
  return {
    setup: async (directory, verb) => void (await requireProgram('sh', [join(directory, 'setup.sh'), verb], { ...slow, env })),
    restart: async (name) => void (await systemctl('restart', `${name}.service`)),
    // The starts before are not held against it: too many in a minute are taken for a version that does not work.
    async restartLater(name) {
      await systemctl('reset-failed', `${name}.service`);
      await systemctl('restart', '--no-block', `${name}.service`);
    },
    state: async (name) => (await runProgram('systemctl', ['is-active', `${name}.service`], { ...quick, env })).stdout.trim(),
    restarts: async (name) => Number((await runProgram('systemctl', ['show', '-P', 'NRestarts', `${name}.service`], { ...quick, env })).stdout.trim()),
    status: async (name) => await ask(name),
    drain: async (name, on) => await ask(name, on),
    async lastWords(name) {
      const { stdout } = await runProgram('journalctl', ['-u', `${name}.service`, '-n', '30', '-o', 'cat', '--no-pager'], { ...quick, env });
      return stdout.split('\n').map(wordsOf).findLast((words) => words !== '') ?? '';
    },
    reload: async () => void (await systemctl('daemon-reload')),
    async forgetPackage(name) {
      if (existsSync('/usr/bin/dpkg') && (await runProgram('dpkg-query', ['-W', name], { ...quick, env })).code === 0) await requireProgram('dpkg', ['--purge', name], { ...slow, env });
      if (existsSync('/usr/bin/rpm') && (await runProgram('rpm', ['-q', name], { ...quick, env })).code === 0) await requireProgram('rpm', ['-e', '--noscripts', name], { ...slow, env });
    },
    removeSelf: async () => void (await requireProgram('systemd-run', ['--no-block', '--collect', '--quiet', '/bin/sh', '-c', removeDeployer], { ...quick, env })),
  };
}

/** Our services log one JSON object a line. */
export function wordsOf(line: string): string {
  try {
    const { level, message, why } = JSON.parse(line) as { level?: string; message?: string; why?: string };
    return level === 'error' ? [message, why].filter((word) => word !== undefined).join(': ') : '';
  } catch {
    return /^\S*Error\b/.test(line) ? line : '';
  }
}
