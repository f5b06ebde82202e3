/**
 * A real Active Directory domain controller (Samba) for a test: comp.test, provisioned and filled in a directory of its
 * own, run on a machine of the test's network with processes, mounts and a name of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { TestMachine } from './namespaces.ts';
import { scratch } from './scratch.ts';

export const domain = { realm: 'comp.test', netbios: 'COMPAD', base: 'DC=comp,DC=test', people: 'OU=People,DC=comp,DC=test', computers: 'OU=DBServers,DC=comp,DC=test' };

export type LdifEntry = Readonly<Record<string, string | readonly string[]>> & { readonly dn: string };

export type ActiveDirectory = AsyncDisposable & {
  readonly address: string;
  /** Changes an entry where it is kept, as an administrator would. */
  modify(ldif: string): Promise<void>;
};

/** Why there can be none here; undefined when there can. */
export function whyNoActiveDirectory(): string | undefined {
  const programs = ['samba', 'samba-tool', 'ldbadd', 'unshare', 'setpriv'];
  const missing = programs.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length > 0) return `not on this machine: ${missing.join(', ')}`;
  return existsSync('/usr/share/samba/setup/provision.ldif') && globSync('/usr/lib/*/samba/ldb/samba_dsdb.so').length > 0 ? undefined : 'Samba is here, and not as a domain controller';
}

/** `unicodePwd` as the directory takes it. */
export const adPassword = (password: string): string => `:: ${Buffer.from(`"${password}"`, 'utf16le').toString('base64')}`;

export type DirectoryOptions = {
  /** Changes to what is kept in the domain's own file, which no rule of the directory is asked about: an old password, say. */
  readonly stored?: string;
  /** Lines of its configuration: shares that its own smbd serves. */
  readonly shares?: readonly string[];
};

export async function openActiveDirectory(machine: TestMachine, identity: LinkIdentity, entries: readonly LdifEntry[], { stored, shares = [] }: DirectoryOptions = {}): Promise<ActiveDirectory> {
  const directory = mkdtempSync(join(scratch, 'tm-ad-'));
  const config = join(directory, 'etc/smb.conf');
  const close = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  try {
    for (const name of ['pid', 'ncalrpc', 'log', 'tls']) mkdirSync(join(directory, name));
    for (const [name, text] of [['key.pem', identity.keyPem], ['cert.pem', identity.certificatePem], ['ca.pem', identity.caPem]] as const) writeFileSync(join(directory, 'tls', name), text, { mode: 0o600 });
    await provision(machine, directory);
    complete(config, directory, shares);
    await ldb(machine, 'ldbadd', 'private/sam.ldb', directory, entries.map(ldifOf).join('\n'));
    if (stored !== undefined) await ldb(machine, 'ldbmodify', `private/sam.ldb.d/${partition(directory)}`, directory, stored);
    const inside = `hostname dc1; mkdir -p /run/samba; mount -t tmpfs tmpfs /run/samba; mkdir -p /run/samba/winbindd; exec samba -s ${config} -F --no-process-group -l ${directory}/log`;
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'ip', 'netns', 'exec', machine.namespace, 'unshare', '--uts', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child', 'bash', '-c', inside], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-4_000)));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
      // Its processes end after it, and make their directories again where those are gone.
      await until('the processes of the directory to end', 10_000, async () => ((await runProgram('ip', ['netns', 'pids', machine.namespace], { deadlineMs: 5_000 })).stdout.trim() === '' ? true : undefined));
      close();
    };
    try {
      await until('the directory to answer', 30_000, async () => {
        if (child.exitCode !== null) throw new Error(`samba ended with ${child.exitCode}: ${said}`);
        return (await isListening(machine, 636)) && (await isListening(machine, 389)) && (shares.length === 0 || (await isListening(machine, 445))) ? true : undefined;
      });
    } catch (error) {
      await stop();
      throw error;
    }
    return { address: machine.address, modify: async (ldif) => await ldb(machine, 'ldbmodify', 'private/sam.ldb', directory, ldif), [Symbol.asyncDispose]: stop };
  } catch (error) {
    close();
    throw error;
  }
}

async function provision(machine: TestMachine, directory: string): Promise<void> {
  const first = join(directory, 'first.conf');
  writeFileSync(first, `[global]\nworkgroup = ${domain.netbios}\n`);
  const words = ['samba-tool', 'domain', 'provision', '-s', first, `--targetdir=${directory}`, `--realm=${domain.realm.toUpperCase()}`, `--domain=${domain.netbios}`, '--server-role=dc', '--dns-backend=NONE', '--adminpass=Adm1n-Passw0rd', '--host-name=dc1', `--host-ip=${machine.address}`, '--option=interfaces=lo eth0', '--option=bind interfaces only=yes'];
  const { code, stderr } = await runProgram('ip', ['netns', 'exec', machine.namespace, 'unshare', '--uts', 'sh', '-c', 'hostname dc1; exec "$@"', 'sh', ...words], { deadlineMs: 90_000 });
  if (code !== 0) throw new Error(`the domain could not be provisioned: ${stderr.slice(-2_000)}`);
}

/** Everything in the test's own directory; only the services that are asked here. */
function complete(config: string, directory: string, shares: readonly string[]): void {
  const more = [
    `pid directory = ${directory}/pid`, `ncalrpc dir = ${directory}/ncalrpc`, `log file = ${directory}/log/log.%m`, `server services = ldap${shares.length > 0 ? ', s3fs, winbindd' : ''}`,
    'tls enabled = yes', `tls keyfile = ${directory}/tls/key.pem`, `tls certfile = ${directory}/tls/cert.pem`, `tls cafile = ${directory}/tls/ca.pem`,
  ];
  writeFileSync(config, readFileSync(config, 'utf8').replace('[global]', `[global]\n\t${more.join('\n\t')}`) + `\n${shares.join('\n')}\n`);
}

async function ldb(machine: TestMachine, program: 'ldbadd' | 'ldbmodify', database: string, directory: string, ldif: string): Promise<void> {
  const file = join(directory, 'change.ldif');
  writeFileSync(file, ldif);
  const { code, stdout, stderr } = await runProgram('ip', ['netns', 'exec', machine.namespace, program, '--nosync', '-H', join(directory, database), file], { deadlineMs: 60_000 });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr.slice(0, 2_000)}${stdout.slice(-500)}`);
}

function partition(directory: string): string {
  const found = readdirSync(join(directory, 'private/sam.ldb.d')).find((name) => /^DC(=|%3D)COMP,DC(=|%3D)TEST\.ldb$/i.test(name));
  if (found === undefined) throw new Error('the domain has no file of its own');
  return found;
}

function ldifOf({ dn, ...attributes }: LdifEntry): string {
  const lines = Object.entries(attributes).flatMap(([name, values]) => (typeof values === 'string' ? [values] : values).map((value) => (value.startsWith(':: ') ? `${name}${value}` : `${name}: ${value}`)));
  return `dn: ${dn}\n${lines.join('\n')}\n`;
}

async function isListening(machine: TestMachine, port: number): Promise<boolean> {
  const { stdout } = await machine.run('cat', ['/proc/net/tcp']);
  return new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`).test(stdout);
}
