/** First contact over SSH against a real sshd: every way to sign in, every way to become root, and every refusal in words. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requireProgram } from '../../src/base/child-process.ts';
import { isFailure } from '../../src/base/failure.ts';
import type { HostCredential } from '../../src/contract/credentials.ts';
import type { HostKey } from '../../src/ssh/host-key.ts';
import { openShell, type Shell, type ShellOptions } from '../../src/ssh/shell.ts';
import { openSshHost, whyNoSshHost, type SshHost } from '../kit/ssh-host.ts';

const skip = whyNoSshHost();
const pass = "p'a $s\"s-Wört";
const tcsh = existsSync('/usr/bin/tcsh') ? '/usr/bin/tcsh' : '/bin/bash';
const rootPass = 'r00t-of-the-test';
let host: SshHost;
let keys: { ed: string; rsa: string; locked: string };

async function makeKey(folder: string, name: string, ...args: string[]): Promise<string> {
  const path = join(folder, name);
  await requireProgram('ssh-keygen', ['-q', '-f', path, ...args], { deadlineMs: 30_000 });
  return path;
}

before(async () => {
  if (skip !== false) return;
  const folder = (await requireProgram('mktemp', ['-d', '/tmp/tm-keys-XXXXXX'], { deadlineMs: 5_000 })).trim();
  const [ed, rsa, locked] = [await makeKey(folder, 'ed', '-t', 'ed25519', '-N', ''), await makeKey(folder, 'rsa', '-t', 'rsa', '-N', ''), await makeKey(folder, 'locked', '-t', 'ed25519', '-N', 'phrase-of-the-key')];
  keys = { ed: readFileSync(ed, 'utf8'), rsa: readFileSync(rsa, 'utf8'), locked: readFileSync(locked, 'utf8') };
  const publicKey = [ed, rsa, locked].map((path) => readFileSync(`${path}.pub`, 'utf8').trim()).join('\n');
  await requireProgram('rm', ['-rf', folder], { deadlineMs: 5_000 });
  host = await openSshHost({
    rootPassword: rootPass,
    users: [
      { name: 'asks', password: pass, publicKey },
      { name: 'free', password: pass, publicKey },
      { name: 'nobody2', password: pass, publicKey },
      { name: 'kbd', password: pass, publicKey },
      { name: 'otp', password: pass, publicKey },
      { name: 'bound', password: pass },
      { name: 'prompt', password: pass },
      { name: 'narrow', password: pass },
      { name: 'lecture', password: pass },
      { name: 'noisy', password: pass, bashrc: 'echo "Welcome to db1, have a nice day"' },
      { name: 'nologin', password: pass, shell: '/usr/sbin/nologin' },
      { name: 'menu', password: pass, shell: '/usr/local/bin/menu' },
      { name: 'silent', password: pass, shell: '/bin/false' },
      { name: 'old', password: pass, publicKey },
      { name: 'kbdold', password: pass },
      { name: 'csh', password: pass, shell: tcsh },
    ],
    sudoers: [
      'asks ALL=(ALL:ALL) ALL', 'free ALL=(ALL:ALL) NOPASSWD: ALL', 'bound ALL=(ALL:ALL) NOPASSWD: ALL', 'Defaults:bound requiretty', 
      'narrow ALL=(ALL:ALL) NOPASSWD: /bin/ls', 'lecture ALL=(ALL:ALL) ALL', 'Defaults:lecture lecture=always', 'noisy ALL=(ALL) NOPASSWD: ALL',
    ],
    sshds: [
      ['PermitRootLogin yes', 'Match User kbd,kbdold', 'AuthenticationMethods keyboard-interactive publickey', 'Match User otp', 'AuthenticationMethods publickey,password'],
      ['# no sftp', 'Banner /etc/motd-of-the-test'],
      ['HostKeyAlgorithms rsa-sha2-512'],
      ['PasswordAuthentication no', 'KbdInteractiveAuthentication no'],
    ],
    setup: `printf '%s\\n' 'Keep out. password: none' > /etc/motd-of-the-test
printf '%s\\n' '#!/bin/sh' 'echo "1) backup 2) restore"' > /usr/local/bin/menu; chmod 755 /usr/local/bin/menu
printf '%s\\n' '#!/bin/sh' 'test "$(id -un)" = prompt || exec /usr/bin/sudo.real "$@"' 'printf "Your token code: " >&2; read code; exit 1' > /tmp/sudo; mv /usr/bin/sudo /usr/bin/sudo.real; install -m 755 /tmp/sudo /usr/bin/sudo
chage -d 0 old; chage -d 0 kbdold`,
  });
});
after(async () => await host?.[Symbol.asyncDispose]());

const password: HostCredential['signIn'] = { kind: 'password', password: pass };
type Wish = Partial<Omit<ShellOptions, 'credential'>> & { signIn?: HostCredential['signIn']; elevation?: HostCredential['elevation']; port?: number };

async function open(user: string, { signIn = password, elevation = { kind: 'none' }, port = host.port, ...rest }: Wish = {}): Promise<Shell> {
  return await openShell({ host: '127.0.0.1', credential: { user, port, signIn, elevation }, hostKey: { recorded: null, unknown: 'admit' }, ...rest });
}

async function refused(user: string, wish: Wish, code: string, says: RegExp): Promise<void> {
  await assert.rejects(open(user, wish), (error) => {
    assert.ok(isFailure(error, { code }), `${String(error)}`);
    assert.match(error.message, says);
    const everything = JSON.stringify([error.message, error.hint, error.details, error.stack, String(error.cause)]);
    for (const secret of [pass, JSON.stringify(pass).slice(1, -1), rootPass, 'wrong-secret', 'phrase-of-the-key']) assert.ok(!everything.includes(secret), 'a secret stands in the failure');
    return true;
  });
}

async function isRoot(shell: Shell): Promise<void> {
  assert.equal((await shell.ask('id', 'id -un', { deadlineMs: 10_000 })).trim(), 'root');
}

const ways: [string, string, () => Wish, Shell['rootBy']][] = [
  ['a password and sudo that asks for it', 'asks', () => ({ elevation: { kind: 'sudo' } }), 'sudo'],
  ['a password and sudo that asks for nothing', 'free', () => ({ elevation: { kind: 'sudo' } }), 'sudo'],
  ['a password and su', 'nobody2', () => ({ elevation: { kind: 'su', rootPassword: rootPass } }), 'su'],
  ['sudo that is not allowed, and su in its place', 'nobody2', () => ({ elevation: { kind: 'sudo', rootPassword: rootPass } }), 'su'],
  ['an ed25519 key and sudo without a password', 'free', () => ({ signIn: { kind: 'key', privateKey: keys.ed }, elevation: { kind: 'sudo' } }), 'sudo'],
  ['an RSA key and sudo with a password of its own', 'asks', () => ({ signIn: { kind: 'key', privateKey: keys.rsa }, elevation: { kind: 'sudo', password: pass } }), 'sudo'],
  ['a key with a passphrase', 'free', () => ({ signIn: { kind: 'key', privateKey: keys.locked, passphrase: 'phrase-of-the-key' }, elevation: { kind: 'sudo' } }), 'sudo'],
  ['root\'s own password', 'root', () => ({ signIn: { kind: 'password', password: rootPass } }), 'plain'],
  ['a lecture of sudo before its question', 'lecture', () => ({ elevation: { kind: 'sudo' } }), 'sudo'],
];
for (const [title, user, wish, rootBy] of ways) {
  test(`root is reached by ${title}`, { skip }, async () => {
    await using shell = await open(user, wish());
    assert.equal(shell.rootBy, rootBy);
    await isRoot(shell);
  });
}

test('a login shell of another family runs the same commands', { skip: skip !== false ? skip : tcsh === '/bin/bash' && 'needs tcsh' }, async () => {
  await using shell = await open('csh', { elevation: { kind: 'su', rootPassword: rootPass } });
  assert.equal((await shell.ask('a script with everything in it', `printf '%s' 'it'"'"'s $HOME "!"'; printf '\n%s' "$(id -u)"`, { deadlineMs: 10_000 })), `it's $HOME "!"\n0`);
});

test('a host that asks for the password interactively is answered', { skip }, async () => {
  await refused('kbd', {}, 'ssh.elevation-refused', /names no way/);
  await refused('kbd', { signIn: { kind: 'password', password: 'wrong-secret' } }, 'ssh.sign-in-refused', /the password was not accepted/);
});

const refusals: [string, string, () => Wish, string, RegExp][] = [
  ['a wrong password', 'asks', () => ({ signIn: { kind: 'password', password: 'wrong-secret' } }), 'ssh.sign-in-refused', /refused to sign in asks with a password: the password was not accepted/],
  ['a key the host does not know', 'bound', () => ({ signIn: { kind: 'key', privateKey: keys.ed } }), 'ssh.sign-in-refused', /with a key: the key was not accepted/],
  ['a wrong passphrase', 'free', () => ({ signIn: { kind: 'key', privateKey: keys.locked, passphrase: 'wrong-secret' } }), 'ssh.key-unreadable', /passphrase does not fit/],
  ['a missing passphrase', 'free', () => ({ signIn: { kind: 'key', privateKey: keys.locked } }), 'ssh.key-unreadable', /encrypted and the credential has no passphrase/],
  ['something that is no key', 'free', () => ({ signIn: { kind: 'key', privateKey: 'wrong-secret' } }), 'ssh.key-unreadable', /no known form/],
  ['a password where only keys are taken', 'asks', () => ({ port: host.ports[3]! }), 'ssh.sign-in-refused', /does not take that; it takes publickey/],
  ['a second proof besides', 'otp', () => ({ signIn: { kind: 'key', privateKey: keys.ed } }), 'ssh.sign-in-refused', /wants password besides/],
  ['a wrong sudo password', 'asks', () => ({ elevation: { kind: 'sudo', password: 'wrong-secret' } }), 'ssh.elevation-refused', /by sudo: the password was not accepted/],
  ['sudo that asks while the credential has no password', 'asks', () => ({ signIn: { kind: 'key', privateKey: keys.ed }, elevation: { kind: 'sudo' } }), 'ssh.elevation-refused', /asks for a password and the credential has none/],
  ['a user who is not in the sudoers file', 'nobody2', () => ({ elevation: { kind: 'sudo' } }), 'ssh.elevation-refused', /not in the sudoers file/],
  ['a user who may run only some commands', 'narrow', () => ({ elevation: { kind: 'sudo' } }), 'ssh.elevation-refused', /do not allow the user to run everything/],
  ['sudo on terminals only', 'bound', () => ({ elevation: { kind: 'sudo' } }), 'ssh.elevation-refused', /requiretty/],
  ['sudo with an altered prompt', 'prompt', () => ({ elevation: { kind: 'sudo' }, beginMs: 2_000 }), 'ssh.elevation-refused', /it said: Your token code:/],
  ['a wrong root password', 'nobody2', () => ({ elevation: { kind: 'su', rootPassword: 'wrong-secret' } }), 'ssh.elevation-refused', /by su: the password was not accepted/],
  ['sudo and su both refused', 'nobody2', () => ({ elevation: { kind: 'sudo', rootPassword: 'wrong-secret' } }), 'ssh.elevation-refused', /sudo: the user is not in the sudoers file; su: the password was not accepted/],
  ['no way to root', 'asks', () => ({}), 'ssh.elevation-refused', /names no way/],
  ['a profile that prints', 'noisy', () => ({ elevation: { kind: 'sudo' } }), 'ssh.shell-noisy', /prints before it runs anything: Welcome to db1, have a nice day/],
  ['an account that is closed', 'nologin', () => ({}), 'ssh.shell-unusable', /This account is currently not available/],
  ['a menu in place of a shell', 'menu', () => ({}), 'ssh.shell-unusable', /1\) backup 2\) restore/],
  ['a shell that only ends', 'silent', () => ({}), 'ssh.shell-unusable', /ended without a word/],
  ['an expired password', 'old', () => ({}), 'ssh.password-expired', /the password of old on 127\.0\.0\.1 has expired/],
  ['an expired password that is asked for interactively', 'kbdold', () => ({}), 'ssh.password-expired', /the password of kbdold on 127\.0\.0\.1 has expired/],
  ['an expired password behind a key', 'old', () => ({ signIn: { kind: 'key', privateKey: keys.ed } }), 'ssh.password-expired', /has expired/],
];
for (const [title, user, wish, code, says] of refusals) {
  test(`refused with words: ${title}`, { skip }, async () => await refused(user, wish(), code, says));
}

test('a banner before the sign-in disturbs nothing, and without SFTP a file goes in by stdin', { skip }, async () => {
  await using shell = await open('asks', { elevation: { kind: 'sudo' }, port: host.ports[1]! });
  const bytes = randomBytes(3_000_000);
  await shell.upload({ content: { bytes }, to: '/opt/by-stdin/file', mode: 0o600, deadlineMs: 30_000 });
  assert.equal((await shell.ask('sum', 'sha256sum < /opt/by-stdin/file', { deadlineMs: 10_000 })).slice(0, 64), createHash('sha256').update(bytes).digest('hex'));
});

test('the fingerprint is the one ssh-keygen shows; the recorded key opens, another fails and both are named', { skip }, async () => {
  const shown = (await requireProgram('ssh-keygen', ['-lf', join(host.keys, 'host_ed25519.pub')], { deadlineMs: 5_000 })).split(' ')[1]!;
  const seen: HostKey[] = [];
  await using first = await open('free', { elevation: { kind: 'sudo' }, hostKey: { recorded: null, unknown: 'admit', seen: async (key) => (seen.push(key), null) } });
  assert.deepEqual(first.hostKey, { type: 'ssh-ed25519', fingerprint: shown });
  assert.deepEqual(seen, [first.hostKey]);
  await using again = await open('free', { elevation: { kind: 'sudo' }, hostKey: { recorded: first.hostKey, unknown: 'refuse' } });
  await isRoot(again);
  const other = { type: 'ssh-ed25519', fingerprint: 'SHA256:another' };
  await refused('free', { hostKey: { recorded: other, unknown: 'admit' } }, 'ssh.host-key-changed', new RegExp(`shows the key ${shown.replaceAll('+', '\\+')}, and the one on record is SHA256:another`));
  const before = (await host.log()).length;
  await refused('free', { hostKey: { recorded: other, unknown: 'admit' } }, 'ssh.host-key-changed', /./);
  assert.doesNotMatch((await host.log()).slice(before), /(Accepted|Failed) password/, 'nothing was sent to a host with another key');
});

test('a host with keys of several types is asked for the one on record', { skip }, async () => {
  await using rsa = await open('free', { elevation: { kind: 'sudo' }, port: host.ports[2]! });
  assert.equal(rsa.hostKey.type, 'ssh-rsa');
  await using both = await open('free', { elevation: { kind: 'sudo' }, hostKey: { recorded: rsa.hostKey, unknown: 'refuse' } });
  assert.deepEqual(both.hostKey, rsa.hostKey);
});

test('a host nobody has admitted is refused in manual mode, with the key to compare', { skip }, async () => {
  await refused('free', { hostKey: { recorded: null, unknown: 'refuse' } }, 'ssh.host-untrusted', /shows the ssh-ed25519 key SHA256:/);
});

test('what is not there, and what is no sshd, is said within the deadline', { skip }, async () => {
  const silent = createServer((socket) => socket.on('error', () => {}));
  const chatty = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  for (const server of [silent, chatty]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const portOf = (server: typeof silent): number => (server.address() as { port: number }).port;
  await refused('free', { port: portOf(silent), signInMs: 500 }, 'ssh.host-not-reached', /no SSH greeting within 0\.5 s/);
  await refused('free', { port: portOf(chatty), signInMs: 5_000 }, 'ssh.host-not-reached', /no SSH connection to 127\.0\.0\.1 on port \d+: /);
  const gone = portOf(silent);
  silent.close();
  chatty.close();
  await refused('free', { port: gone }, 'ssh.host-not-reached', /nothing listens there/);
});

test('stdin, stdout, stderr and the exit code of a command stay apart, byte for byte, by every way to root', { skip }, async () => {
  const bytes = Buffer.concat([Buffer.from('pass\nword\n\0\xff', 'latin1'), randomBytes(200_000)]);
  for (const [user, elevation] of [['asks', { kind: 'sudo' }], ['free', { kind: 'sudo' }], ['nobody2', { kind: 'su', rootPassword: rootPass }]] as const) {
    await using shell = await open(user, { elevation });
    const ran = await shell.run('cat', `cat; echo "it's $(id -un)" >&2; exit 7`, { deadlineMs: 20_000, stdin: bytes });
    assert.deepEqual([ran.code, ran.stderr], [7, "it's root\n"], user);
    assert.ok(ran.stdout.equals(bytes), user);
  }
});

test('a command past its deadline fails and ends on the host as well; too much output is cut off', { skip }, async () => {
  await using shell = await open('asks', { elevation: { kind: 'sudo' } });
  await assert.rejects(shell.run('a long sleep', 'echo $$ > /tmp/long; sleep 600', { deadlineMs: 1_500 }), (error) => isFailure(error, { code: 'base.deadline-passed' }));
  await assert.rejects(shell.run('yes', 'yes', { deadlineMs: 20_000, maxBytes: 10_000 }), (error) => isFailure(error, { code: 'ssh.output-too-long' }));
  const { stdout } = await host.inside('p=$(cat /tmp/long); for i in $(seq 100); do test -d /proc/$p || break; sleep 0.1; done; test -d /proc/$p && echo there || echo gone');
  assert.equal(stdout.trim(), 'gone');
});

test('no password stands in an argument list or in the log of the host', { skip }, async () => {
  await using shell = await open('asks', { elevation: { kind: 'sudo' } });
  await using other = await open('nobody2', { elevation: { kind: 'su', rootPassword: rootPass } });
  const lists = await Promise.all([shell, other].map(async (one) => await one.ask('ps', "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '", { deadlineMs: 10_000 })));
  for (const text of [...lists, await host.log()]) for (const secret of [pass, rootPass]) assert.ok(!text.includes(secret));
});

test('an upload is whole with its mode, is not sent twice, and leaves nothing beside it', { skip }, async () => {
  await using shell = await open('asks', { elevation: { kind: 'sudo' } });
  const file = join(host.keys, 'package');
  const bytes = randomBytes(20_000_000);
  writeFileSync(file, bytes);
  const wanted = { content: { file }, to: "/opt/a name's/pack age.deb", mode: 0o640, deadlineMs: 60_000 } as const;
  await shell.upload(wanted);
  const look = async (): Promise<string> => (await shell.ask('look', `cd "/opt/a name's"; ls; stat -c '%U %a %i' *; sha256sum *`, { deadlineMs: 10_000 })).trim();
  const seen = await look();
  assert.match(seen, new RegExp(`^pack age\\.deb\\nroot 640 \\d+\\n${createHash('sha256').update(bytes).digest('hex')}  pack age\\.deb$`));
  await shell.upload(wanted);
  assert.equal(await look(), seen, 'the same inode: nothing was sent again');
  await shell.upload({ ...wanted, content: { bytes: 'another' } });
  assert.notEqual(await look(), seen);
  assert.equal((await host.inside('ls /tmp | grep -c "^tmp\\." || true')).stdout.trim(), '0');
});

test('a host that goes away in the middle of a command is a lost connection', { skip }, async () => {
  await using shell = await open('free', { elevation: { kind: 'sudo' } });
  await assert.rejects(shell.run('its end', 'kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID)) ; p=$PPID; while :; do q=$(ps -o ppid= -p $p | tr -d " "); test "$q" -gt 1 || break; case $(cat /proc/$q/comm) in sshd) kill -9 $q;; esac; p=$q; done', { deadlineMs: 20_000 }), (error) => isFailure(error, { code: 'ssh.connection-lost' }));
});
