/** The real services of the port plan, each known for what it is and none taken for another. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { probePorts } from '../../src/agent/port-probe.ts';
import { until } from '../../src/base/deadline.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { ProbeTarget } from '../../src/contract/ports.ts';
import { freePorts } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';
import { openTestAuthority, type TestAuthority } from '../kit/test-authority.ts';

let authority: TestAuthority;
let identity: LinkIdentity;
let directory: string;
const children: ChildProcess[] = [];

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tm-services-'));
  authority = await openTestAuthority();
  identity = await authority.issue('transport', 'local');
  writeFileSync(join(directory, 'cert.pem'), identity.certificatePem);
  writeFileSync(join(directory, 'key.pem'), identity.keyPem, { mode: 0o600 });
  writeFileSync(join(directory, 'ca.pem'), identity.caPem);
});
after(async () => {
  for (const child of children) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await ended;
    }
  }
  rmSync(directory, { recursive: true, force: true });
  await authority[Symbol.asyncDispose]();
});

const met = async (port: number, service: ProbeTarget['service']): Promise<string> => {
  const [result] = await probePorts([{ host: '127.0.0.1', port, protocol: 'tcp', service }], { identity, eachMs: 3_000, signal: new AbortController().signal });
  return `${result!.outcome}: ${result!.says}`;
};

/** Starts a program and waits until something accepts on its port. */
async function start(program: string, args: readonly string[], port: number, wrap: readonly string[] = []): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...wrap, '--', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-5_000)));
  await until(program, 60_000, async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${said}`);
    return (await met(port, 'tcp')).startsWith('good') ? true : undefined;
  });
}

const missing = (path: string | undefined): string | false => (path !== undefined && existsSync(path) ? false : `there is no ${path ?? 'such program'} on this machine`);

test('a directory server is known over LDAP and LDAPS, and its ports are not taken for each other', { skip: missing('/usr/sbin/slapd') }, async () => {
  const [plain, secure] = await freePorts(2) as [number, number];
  const config = join(directory, 'slapd.conf');
  writeFileSync(config, `include /etc/ldap/schema/core.schema\npidfile ${directory}/slapd.pid\nTLSCertificateFile ${directory}/cert.pem\nTLSCertificateKeyFile ${directory}/key.pem\nTLSCACertificateFile ${directory}/ca.pem\n`);
  await start('/usr/sbin/slapd', ['-f', config, '-h', `ldap://127.0.0.1:${plain} ldaps://127.0.0.1:${secure}`, '-d', '0'], plain);
  assert.equal(await met(plain, 'ldap'), 'good: LDAP');
  assert.equal(await met(secure, 'ldaps'), 'good: LDAP');
  assert.equal(await met(plain, 'ldap-starttls'), 'good: LDAP, with StartTLS');
  assert.match(await met(plain, 'ldaps'), /^wrong-service: /);
  assert.match(await met(secure, 'ldap'), /^wrong-service: /);
});

for (const [name, strict] of [['plain', []], ['strict', ['server min protocol = SMB3_11', 'server signing = mandatory', 'smb encrypt = required']]] as const) {
  test(`a file server is known over SMB: ${name}`, { skip: missing('/usr/sbin/smbd') }, async () => {
    const [port] = await freePorts(1) as [number];
    const at = (part: string): string => {
      const path = join(directory, `smb-${name}-${part}`);
      mkdirSync(path, { recursive: true });
      return path;
    };
    const config = join(directory, `smb-${name}.conf`);
    const places = ['lock', 'state', 'cache', 'pid', 'private', 'ncalrpc'].map((part) => `${part === 'private' ? 'private dir' : part === 'ncalrpc' ? 'ncalrpc dir' : `${part} directory`} = ${at(part)}`);
    writeFileSync(config, ['[global]', `smb ports = ${port}`, 'interfaces = lo', 'bind interfaces only = yes', 'disable spoolss = yes', 'load printers = no', ...places, ...strict, ''].join('\n'));
    await start('/usr/sbin/smbd', ['-s', config, '-F', '--no-process-group', '-l', directory], port);
    assert.equal(await met(port, 'smb'), 'good: SMB');
    assert.match(await met(port, 'mongod'), /^wrong-service: /);
    assert.match(await met(port, 'https'), /^wrong-service: /);
  });
}

test('a PostgreSQL server is known before anybody signs in', { skip: process.getuid?.() === 0 ? missing(globSync('/usr/lib/postgresql/*/bin/initdb')[0]) : 'PostgreSQL is started as another user, which needs root' }, async () => {
  const programs = globSync('/usr/lib/postgresql/*/bin')[0]!;
  const [port] = await freePorts(1) as [number];
  const data = mkdtempSync(join(tmpdir(), 'tm-pg-'));
  try {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'postgres']).stdout.toString())) as [number, number];
    chownSync(data, uid, gid);
    const as = ['--reuid', 'postgres', '--regid', 'postgres', '--clear-groups'];
    const made = spawnSync('setpriv', [...as, '--', join(programs, 'initdb'), '-D', data, '-A', 'trust', '--no-sync'], { cwd: '/' });
    assert.equal(made.status, 0, made.stderr.toString());
    await start(join(programs, 'postgres'), ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', data], port, as);
    assert.equal(await met(port, 'postgresql'), 'good: PostgreSQL without TLS');
    assert.match(await met(port, 'ssh'), /^wrong-service: /);
  } finally {
    const child = children.pop();
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    if (child?.exitCode === null && child.kill('SIGQUIT')) await ended;
    rmSync(data, { recursive: true, force: true });
  }
});

test('a mongod that wants TLS is known behind it, and one that wants a certificate as well is not held against the plan', async () => {
  const { path } = await findMongod();
  await using databases = await openTestAuthority();
  const theirs = await databases.issue('server', 'db');
  writeFileSync(join(directory, 'db.pem'), `${theirs.certificatePem}\n${theirs.keyPem}`, { mode: 0o600 });
  writeFileSync(join(directory, 'db-ca.pem'), theirs.caPem);
  const [open, strict] = await freePorts(2) as [number, number];
  for (const [port, more] of [[open, ['--tlsAllowConnectionsWithoutCertificates']], [strict, []]] as const) {
    const dbPath = join(directory, `mongod-${port}`);
    mkdirSync(dbPath);
    const tls = ['--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', join(directory, 'db.pem'), '--tlsCAFile', join(directory, 'db-ca.pem'), ...more];
    await start(path, ['--dbpath', dbPath, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false', ...tls], port);
  }
  assert.equal(await met(open, 'mongod'), 'good: MongoDB, in no set yet, with TLS');
  assert.equal(await met(strict, 'mongod'), 'not-tried: the port is open, and what answers may want a client certificate first: it closes the connection after the TLS handshake');
  assert.match(await met(open, 'tidemark'), /^tls-refused: /);
});
