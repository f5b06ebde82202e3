/** Real receivers of what a server tells: an SMTP server, rsyslog with and without TLS, snmptrapd. All on loopback. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { until } from '../../src/base/deadline.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';

const there = (...files: string[]): boolean => files.every((file) => existsSync(file));

export function whyNoReceivers(): string | false {
  if (!there('/usr/sbin/rsyslogd') || globSync('/usr/lib/*/rsyslog/lmnsd_gtls.so').length === 0) return 'there is no rsyslog with TLS on this machine';
  return there('/usr/sbin/snmptrapd') ? false : 'there is no snmptrapd on this machine';
}

type Ends = { after(work: () => unknown): void };

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

export type MailBox = { readonly port: number; readonly mails: string[]; readonly signedIn: { user: string; secure: boolean }[] };

export async function openMailServer(t: Ends, { identity, secure }: { identity: LinkIdentity; secure: boolean }): Promise<MailBox> {
  const mails: string[] = [];
  const signedIn: MailBox['signedIn'] = [];
  const refusal = (text: string, responseCode: number): Error => Object.assign(new Error(text), { responseCode });
  const server = new SMTPServer({
    secure,
    key: identity.keyPem,
    cert: identity.certificatePem,
    onAuth({ username = '', password }, session, done) {
      if (password !== 'mail-secret') return done(refusal('wrong password', 535));
      signedIn.push({ user: username, secure: session.secure });
      done(null, { user: username });
    },
    onRcptTo: ({ address }, _session, done) => (address.startsWith('nobody') ? done(refusal('no such mailbox here', 550)) : done()),
    onData(stream, _session, done) {
      let text = '';
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
      stream.on('end', () => {
        mails.push(text);
        done(null, `queued as ${mails.length}`);
      });
    },
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => await new Promise<void>((resolve) => server.close(resolve)));
  return { port: server.server.address().port, mails, signedIn };
}

export type SyslogLine = { readonly msg: string; readonly msgid: string; readonly 'app-name': string; readonly 'structured-data': string; readonly severity: number };
export type SyslogBox = { lines(): SyslogLine[] };

export async function openRsyslog(t: Ends, { directory, port, tls }: { directory: string; port: number; tls: LinkIdentity | null }): Promise<SyslogBox> {
  mkdirSync(directory, { recursive: true });
  const [config, out, pid] = [join(directory, 'rsyslog.conf'), join(directory, 'out'), join(directory, 'pid')];
  if (tls !== null) for (const [name, text] of [['key.pem', tls.keyPem], ['cert.pem', tls.certificatePem], ['ca.pem', tls.caPem]] as const) writeFileSync(join(directory, name), text, { mode: 0o600 });
  const driver = tls === null ? '' : `DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="${directory}/ca.pem" DefaultNetstreamDriverCertFile="${directory}/cert.pem" DefaultNetstreamDriverKeyFile="${directory}/key.pem"`;
  const each = ['msg', 'msgid', 'app-name', 'structured-data', 'syslogseverity'].map((name) => `property(outname="${name === 'syslogseverity' ? 'severity' : name}" name="${name}" format="jsonf")`).join(' constant(value=",") ');
  writeFileSync(config, `global(workDirectory="${directory}" ${driver})
module(load="imtcp"${tls === null ? '' : ' StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'})
module(load="imudp")
template(name="json" type="list") { constant(value="{") ${each} constant(value="}\\n") }
ruleset(name="all") { action(type="omfile" file="${out}" template="json") }
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="all")
${tls === null ? `input(type="imudp" address="127.0.0.1" port="${port}" ruleset="all")` : ''}
`);
  const child = spawn('/usr/sbin/rsyslogd', ['-n', '-f', config, '-i', pid], { stdio: ['ignore', 'ignore', 'pipe'] });
  let says = '';
  child.stderr.on('data', (part: Buffer) => (says += part.toString()));
  t.after(async () => await ended(child));
  await until(`rsyslog to listen (${says})`, 10_000, async () => await new Promise<true | undefined>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(undefined)).on('connect', () => socket.destroy());
  }));
  return { lines: () => (existsSync(out) ? readFileSync(out, 'utf8').trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as SyslogLine) : []) };
}

export async function openTrapReceiver(t: Ends, { directory, port, engineId }: { directory: string; port: number; engineId: string }): Promise<{ log(): string }> {
  mkdirSync(directory, { recursive: true });
  const [config, out] = [join(directory, 'snmptrapd.conf'), join(directory, 'traps')];
  writeFileSync(config, `authCommunity log public
createUser -e 0x${engineId} trapuser SHA authpass12 AES privpass12
authUser log trapuser priv
createUser informuser SHA authpass12 AES privpass12
authUser log informuser priv
`);
  const child = spawn('/usr/sbin/snmptrapd', ['-f', '-C', '-c', config, '-On', '-Lf', out, '-p', join(directory, 'pid'), `udp:127.0.0.1:${port}`], { stdio: 'ignore', env: { PATH: '/usr/bin:/usr/sbin', SNMP_PERSISTENT_DIR: directory } });
  t.after(async () => await ended(child));
  const log = (): string => (existsSync(out) ? readFileSync(out, 'utf8') : '');
  await until('snmptrapd to listen', 10_000, () => (/NET-SNMP version/.test(log()) ? true : undefined));
  return { log };
}

/** Output of a linter, and whether it is content. */
export function lint(program: string, args: string[], options: { input?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {}): { ok: boolean; says: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000, ...options });
  return { ok: status === 0, says: `${stdout}${stderr}` };
}
