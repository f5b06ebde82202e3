/** From a host with nothing of ours to one whose service answers: the look at its mongods, the deployment, and what a failure leaves. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lookAround } from '../../src/agent/look-around.ts';
import { requireProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { deployOverSsh, lookOverSsh, type Deployment } from '../../src/server/first-contact.ts';
import { openShell, type Shell } from '../../src/ssh/shell.ts';
import { findMongod } from '../kit/mongod.ts';
import { openSshHost, quoted, whyNoSshHost, type SshHost } from '../kit/ssh-host.ts';

const skip = whyNoSshHost();
let host: SshHost;
let folder: string;

before(async () => {
  if (skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), 'tm-contact-'));
  host = await openSshHost({
    users: [{ name: 'admin', password: 'Pa55-word' }, { name: 'mongo', password: 'x-unused' }],
    sudoers: ['admin ALL=(ALL:ALL) ALL'],
    setup: 'mkdir -p /run/systemd/system',
  });
});
after(async () => {
  await host?.[Symbol.asyncDispose]();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const open = async (): Promise<Shell> =>
  await openShell({ host: '127.0.0.1', credential: { user: 'admin', port: host.port, signIn: { kind: 'password', password: 'Pa55-word' }, elevation: { kind: 'sudo' } }, hostKey: { recorded: null, unknown: 'admit' } });

/** A stand-in for our package: one file, and a script that runs when it is installed. */
async function makePackage(name: string, version: string, postinst: string): Promise<string> {
  const tree = join(folder, `${name}-${version}`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(join(tree, 'opt', name), { recursive: true });
  writeFileSync(join(tree, 'DEBIAN/control'), `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: Tidemark\nDescription: a stand-in\n`);
  writeFileSync(join(tree, 'DEBIAN/postinst'), `#!/bin/sh\n${postinst}\n`, { mode: 0o755 });
  writeFileSync(join(tree, 'opt', name, 'version'), `${version}\n`);
  const file = join(folder, `${name}_${version}_all.deb`);
  await requireProgram('dpkg-deb', ['--root-owner-group', '-Zgzip', '-b', tree, file], { deadlineMs: 30_000 });
  return file;
}

type Said = string[];

function deployment(file: string, said: Said, change: Partial<Deployment> = {}): Deployment {
  return {
    host: '127.0.0.1',
    open,
    packageFor: async () => ({ file, install: (path) => `dpkg -i ${path}`, remove: 'dpkg --purge stand-in' }),
    kit: { content: 'token-of-the-kit', to: '/etc/stand-in/kit.json' },
    healthy: async () => ((await host.inside('cat /opt/stand-in/version /run/stand-in')).code === 0 ? true : 'the service has not started'),
    say: (step, text) => void said.push(`${step}: ${text}`),
    ...change,
  };
}

const leftovers = async (): Promise<string> => (await host.inside('ls -A /var/lib/tidemark-deploy /etc/stand-in 2>/dev/null; ls /tmp | grep "^tmp" ; true')).stdout.trim();

test('a host is deployed, every step is said, and a second time is the same as once', { skip }, async () => {
  const file = await makePackage('stand-in', '1.0', 'test "$(stat -c %a%U /etc/stand-in/kit.json)" = 600root && touch /run/stand-in');
  const said: Said = [];
  const { look, platform, hostKey } = await deployOverSsh(deployment(file, said));
  assert.deepEqual([look.hostname, platform, hostKey.type], ['tm-ssh', process.arch === 'x64' ? 'linux-x64' : 'linux-arm64', 'ssh-ed25519']);
  assert.deepEqual([...new Set(said.map((line) => line.split(':')[0]))], ['connect', 'look', 'check', 'upload package', 'upload kit', 'install', 'health']);
  assert.match(said.join('\n'), /signed in as admin, root by sudo, host key SHA256:/);
  assert.ok(!said.join('\n').includes('token-of-the-kit'));
  assert.equal(await leftovers(), '/etc/stand-in:\nkit.json', 'the package is not kept, and the kit is there for the service');
  await deployOverSsh(deployment(file, []));
  const newer = await makePackage('stand-in', '1.1', 'touch /run/stand-in');
  await deployOverSsh(deployment(newer, []));
  assert.equal((await host.inside('cat /opt/stand-in/version')).stdout, '1.1\n');
  await host.inside('dpkg --purge stand-in; rm -rf /run/stand-in /etc/stand-in');
});

test('an installation that fails leaves neither package nor kit behind and says how to remove the rest', { skip }, async () => {
  const file = await makePackage('stand-in', '2.0', 'echo "the disk is on fire" >&2; exit 3');
  const said: Said = [];
  await assert.rejects(deployOverSsh(deployment(file, said)), (error) => {
    assert.ok(isFailure(error, { code: 'server.deployment-failed' }));
    assert.match(error.message, /failed at "install": .*exit code/);
    assert.match(error.hint, /run as root on the host: dpkg --purge stand-in$/);
    assert.deepEqual(error.details['left'], ['what the package has installed']);
    return true;
  });
  assert.match(said.at(-1)!, /^install: failed: .*left on the host: what the package has installed/);
  assert.equal(await leftovers(), '/etc/stand-in:');
  await host.inside('dpkg --purge stand-in; rm -rf /etc/stand-in');
});

test('a service that does not become healthy is said with what was missing, within the deadline', { skip }, async () => {
  const file = await makePackage('stand-in', '3.0', 'exit 0');
  await assert.rejects(deployOverSsh(deployment(file, [], { deadlines: { healthMs: 700, healthEveryMs: 50 } })), (error) => {
    assert.ok(isFailure(error, { code: 'server.deployment-failed' }));
    assert.match(error.message, /failed at "health": waited 0\.7 s .*: the service has not started/);
    return true;
  });
  await host.inside('dpkg --purge stand-in; rm -rf /etc/stand-in');
});

test('a machine that will not do is refused before anything is put on it', { skip }, async () => {
  await host.inside('rmdir /run/systemd/system');
  const file = await makePackage('stand-in', '4.0', 'exit 0');
  await assert.rejects(deployOverSsh(deployment(file, [])), (error) => isFailure(error, { code: 'server.platform-unfit' }) && /not run by systemd/.test(error.message));
  assert.equal(await leftovers(), '');
  await host.inside('mkdir /run/systemd/system');
});

test('a deployment that is stopped ends at once and tidies up', { skip }, async () => {
  const file = await makePackage('stand-in', '5.0', 'exit 0');
  const ends = new AbortController();
  const stopping = deployment(file, [], { signal: ends.signal, say: (step) => (step === 'upload kit' ? ends.abort(new Error('the operator said stop')) : undefined) });
  await assert.rejects(deployOverSsh(stopping), (error) => isFailure(error, { code: 'server.deployment-failed' }) && /the operator said stop/.test(error.message));
  assert.equal(await leftovers(), '/etc/stand-in:');
});

test('a connection that is cut during the installation leaves a list of what is on the host', { skip }, async () => {
  const file = await makePackage('stand-in', '6.0', 'exit 0');
  const cut = 'p=$PPID; while test "$p" -gt 1; do case $(cat /proc/$p/comm) in sshd) kill -9 $p; break;; esac; p=$(ps -o ppid= -p $p | tr -d " "); done; p=$(ps -o ppid= -p $p); kill -9 $p; sleep 5';
  const cutting = deployment(file, [], { packageFor: async () => ({ file, install: () => `(${cut})`, remove: 'dpkg --purge stand-in' }) });
  await assert.rejects(deployOverSsh(cutting), (error) => {
    assert.ok(isFailure(error, { code: 'server.deployment-failed' }), String(error));
    const left = error.details['left'] as string[];
    assert.match(left.join('\n'), /^\/var\/lib\/tidemark-deploy\/[0-9a-f]{16}-stand-in_6\.0_all\.deb\n\/etc\/stand-in\/kit\.json\nwhat the package has installed$/);
    assert.match(error.hint, /rm -f '\/var\/lib.*kit\.json'; dpkg --purge stand-in$/);
    return true;
  });
  await host.inside('rm -rf /var/lib/tidemark-deploy /etc/stand-in');
});

test('a package with a unit runs under systemd when the deployment is done, and is gone when its own command has removed it', { skip }, async () => {
  await using whole = await openSshHost({ users: [{ name: 'admin', password: 'Pa55-word' }], sudoers: ['admin ALL=(ALL:ALL) ALL'], systemd: true });
  const unit = "[Service]\\nExecStart=/bin/sh -c 'exec sleep infinity'\\nDynamicUser=no\\n[Install]\\nWantedBy=tm.target\\n";
  const file = await makePackage('stand-in', '7.0', `printf '${unit.replaceAll("'", `'\\''`)}' > /etc/systemd/system/stand-in.service; systemctl daemon-reload; systemctl enable --now stand-in`);
  const remove = 'systemctl disable --now stand-in; rm /etc/systemd/system/stand-in.service; dpkg --purge stand-in';
  const openWhole = async (): Promise<Shell> =>
    await openShell({ host: '127.0.0.1', credential: { user: 'admin', port: whole.port, signIn: { kind: 'password', password: 'Pa55-word' }, elevation: { kind: 'sudo' } }, hostKey: { recorded: null, unknown: 'admit' } });
  const isActive = async (): Promise<string> => (await whole.inside('systemctl is-active stand-in')).stdout.trim();
  const { look } = await deployOverSsh(
    deployment(file, [], { open: openWhole, packageFor: async () => ({ file, install: (path) => `dpkg -i ${path}`, remove }), healthy: async () => ((await isActive()) === 'active' ? true : 'the unit is not active') }),
  );
  assert.ok((look.systemd ?? 0) >= 235);
  await using shell = await openWhole();
  await shell.ask('the removal', remove, { deadlineMs: 60_000 });
  assert.notEqual(await isActive(), 'active');
});

test('several mongods are found over SSH and by the agent alike: custom ports, quoted paths, TLS, keyFile, forks', { skip }, async () => {
  const { path: binary } = await findMongod();
  const config = ['storage:', '  dbPath: "/srv/data of rs7"', '  wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}', 'net:', '  port: 29117', '  bindIp: "127.0.0.1,::1"', '  ipv6: true', '  tls:', '    mode: allowTLS', '    certificateKeyFile: /srv/tls.pem', '    CAFile: /srv/tls.pem', '    allowConnectionsWithoutCertificates: true', 'security: {keyFile: "/srv/key file"}', 'replication: {replSetName: rs7}', 'systemLog: {destination: file, path: /srv/rs7.log}'].join('\n');
  const prepared = await host.inside(`set -e; mkdir -p /opt/mongodb/bin "/srv/data of rs7" /srv/second; cp ${quoted(binary)} /opt/mongodb/bin/mongod
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout /srv/k.pem -out /srv/c.pem 2>/dev/null; cat /srv/k.pem /srv/c.pem > /srv/tls.pem
openssl rand -base64 96 > "/srv/key file"; chmod 600 "/srv/key file"; printf '%s' ${quoted(config)} > /srv/mongod.conf; chown -R mongo: /srv
cd /srv; setpriv --reuid=mongo --regid=mongo --init-groups sh -c '/opt/mongodb/bin/mongod -f mongod.conf >/dev/null 2>&1 &'
/opt/mongodb/bin/mongod --dbpath second --port=29118 --fork --logpath /srv/second.log --wiredTigerCacheSizeGB 0.25 --replSet rs8 >/dev/null
cp /bin/dash /srv/mongod; chown mongo: /srv/mongod; setpriv --reuid=mongo --regid=mongo --clear-groups /srv/mongod -c 'while :; do sleep 5; done' -f /etc/shadow >/dev/null 2>&1 &`);
  assert.equal(prepared.code, 0, prepared.stderr);
  await using shell = await open();
  const look = await until('both mongods to listen', 60_000, async () => {
    const seen = await lookOverSsh(shell);
    return seen.mongods.filter(({ listening }) => listening.length > 0).length === 2 ? seen : undefined;
  });
  const [first, second, liar] = ['/srv/data of rs7', '/srv/second', undefined].map((dbPath) => look.mongods.find((one) => (dbPath === undefined ? one.configFile === '/etc/shadow' : one.dbPath === dbPath)));
  assert.deepEqual(
    { ...first, pid: 0, uid: 0, fileSystem: first?.fileSystem?.kind },
    {
      pid: 0, uid: 0, binary: '/opt/mongodb/bin/mongod', version: (await findMongod()).version, dbPath: '/srv/data of rs7', port: 29_117, listening: [{ address: '127.0.0.1', port: 29_117 }, { address: '::1', port: 29_117 }],
      bindIp: ['127.0.0.1', '::1'], replicaSet: 'rs7', clusterRole: null, storageEngine: 'wiredTiger', directoryPerDb: false, encryptedAtRest: false, tls: 'allowTLS', keyFile: '/srv/key file',
      configFile: '/srv/mongod.conf', journalPath: '/srv/data of rs7/journal', journalElsewhere: false, logPath: '/srv/rs7.log', fileSystem: 'overlay', inContainer: false, notes: [],
    },
  );
  assert.deepEqual([second?.port, second?.replicaSet, second?.uid, second?.tls, second?.logPath, second?.notes], [29_118, 'rs8', 0, 'disabled', '/srv/second.log', []]);
  assert.match(liar?.notes.join('; ') ?? '', /the configuration file \/etc\/shadow could not be read/, 'what a process names is read as its owner, not as root');
  const near = await lookAround();
  const same = near.mongods.find(({ dbPath, port }) => dbPath === '/srv/second' && port === 29_118);
  assert.deepEqual([same?.inContainer, same?.replicaSet], [true, 'rs8'], 'from outside it is seen in its mounts');
});
