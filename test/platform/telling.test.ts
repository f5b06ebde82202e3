/** What a server tells, at real receivers; what it shows to Prometheus, to its linter; and a report in a real browser. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { until } from '../../src/base/deadline.ts';
import type { Channel } from '../../src/contract/notifications.ts';
import type { Report } from '../../src/contract/reports.ts';
import { reportHtml } from '../../src/server/telling/report-html.ts';
import { signatureOf } from '../../src/tell/webhook.ts';
import { freePorts } from '../kit/free-port.ts';
import { lint, openMailServer, openRsyslog, openTrapReceiver, whyNoReceivers } from '../kit/receivers.ts';
import { scratch } from '../kit/scratch.ts';
import { openServerPlatform, type ServerPlatform } from '../kit/server-platform.ts';
import { openTestAuthority, type TestAuthority } from '../kit/test-authority.ts';

const root = join(import.meta.dirname, '../..');
const why = whyNoReceivers();
const home = mkdtempSync(join(scratch, 'tm-telling-'));
let platform: ServerPlatform;
let authority: TestAuthority;
let caPem: string;
let identity: Awaited<ReturnType<TestAuthority['issue']>>;
before(async () => {
  authority = await openTestAuthority();
  identity = await authority.issue('server', 'receiver', ['127.0.0.1', 'localhost']);
  caPem = identity.caPem;
  platform = await openServerPlatform({ tellEveryMs: 50 });
  await platform.addSet();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

const add = async (name: string, channel: Channel, rule: object = { on: [] }): Promise<void> => void (await platform.ask('notification.add', { body: { name, channel: channel as never, rule } }));
const tried = async (name: string): Promise<string> => (await platform.ask('notification.test', { params: { notification: name } })).says;
const refused = async (name: string): Promise<string> => {
  const { code, message } = await platform.refused('notification.test', { params: { notification: name } });
  return `${code}: ${message}`;
};

test('mail goes out by STARTTLS and by TLS with a password, to a server that proves itself, and each refusal is told in its words', async (t) => {
  const [plain, secure] = [await openMailServer(t, { identity, secure: false }), await openMailServer(t, { identity, secure: true })];
  const mail = (port: number, more: object = {}): Channel => ({ kind: 'mail', host: '127.0.0.1', port, security: 'starttls', from: 'tidemark@comp.test', to: ['ops@comp.test'], caPem, signIn: { user: 'tide', password: 'mail-secret' }, ...more }) as Channel;
  await add('starttls', mail(plain.port), { on: ['success'], subject: '{state} {object}\r\nBcc: all@comp.test' });
  assert.match(await tried('starttls'), /answered 250 .*queued as 1$/);
  await add('tls', mail(secure.port, { security: 'tls', to: ['nobody@comp.test', 'ops@comp.test'] }));
  assert.match(await tried('tls'), /queued as 1; it refused nobody@comp\.test$/);
  assert.deepEqual([...plain.signedIn, ...secure.signedIn], [{ user: 'tide', secure: true }, { user: 'tide', secure: true }]);
  await add('stranger', mail(plain.port, { caPem: undefined }));
  assert.match(await refused('stranger'), /^tell\.not-trusted: .*certificate/i);
  await add('password', mail(plain.port, { signIn: { user: 'tide', password: 'wrong' } }));
  assert.match(await refused('password'), /^tell\.sign-in-refused: .*535 wrong password/);
  await add('nobody', mail(plain.port, { to: ['nobody@comp.test'] }));
  assert.match(await refused('nobody'), /^tell\.refused: .*550 no such mailbox here/);
  assert.equal(plain.mails.length, 1);

  const backup = await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  const text = await until('the mail about the backup', 10_000, () => plain.mails[1]);
  assert.match(text, /^Subject: success rs0 Bcc: all@comp\.test\r$/m);
  assert.match(text, /^Message-ID: <[0-9a-f]{24}@tidemark>\r$/m);
  assert.ok(text.includes(backup.id) && text.includes('text/html'));
});

test('a webhook over TLS is signed so that its receiver can check it; a receiver that does not prove itself hears nothing', async (t) => {
  const heard: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer({ key: identity.keyPem, cert: identity.certificatePem }, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      heard.push({ headers: request.headers, body });
      response.end('thanks');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as { port: number }).port}/hook`;
  await add('hook', { kind: 'webhook', url, secret: 'sixteen letters or more', caPem });
  assert.match(await tried('hook'), /answered 200: thanks$/);
  const [{ headers, body }] = heard as [(typeof heard)[number]];
  assert.equal(headers['tidemark-signature'], signatureOf('sixteen letters or more', Number(headers['tidemark-timestamp']), String(headers['tidemark-event']), body));
  await add('strange-hook', { kind: 'webhook', url, secret: 'sixteen letters or more' });
  assert.match(await refused('strange-hook'), /^tell\.not-trusted/);
  await add('plain-hook', { kind: 'webhook', url: 'http://192.0.2.1/hook', secret: 'sixteen letters or more' });
  assert.match(await refused('plain-hook'), /^tell\.not-safe/);
  assert.equal(heard.length, 1);
});

test('rsyslog reads the same message over UDP, TCP and TLS, with its structured data', { skip: why }, async (t) => {
  const [port, tlsPort] = (await freePorts(2)) as [number, number];
  const [box, sealed] = await Promise.all([openRsyslog(t, { directory: join(home, 'plain'), port, tls: null }), openRsyslog(t, { directory: join(home, 'tls'), port: tlsPort, tls: identity })]);
  for (const transport of ['udp', 'tcp', 'tls'] as const) {
    await add(`log-${transport}`, { kind: 'syslog', host: '127.0.0.1', port: transport === 'tls' ? tlsPort : port, transport, ...(transport === 'tls' && { caPem }) });
    assert.match(await tried(`log-${transport}`), /^sent to syslog/);
  }
  await add('log-stranger', { kind: 'syslog', host: '127.0.0.1', port: tlsPort, transport: 'tls' });
  assert.match(await refused('log-stranger'), /^tell\.not-trusted/);
  const lines = await until('three messages', 10_000, () => (box.lines().length === 2 && sealed.lines().length === 1 ? [...box.lines(), ...sealed.lines()] : undefined));
  for (const line of lines) {
    assert.deepEqual([line['app-name'], line.msgid, Number(line.severity)], ['tidemark', 'test', 6]);
    assert.match(line.msg, /a test of this notification; notification log-(udp|tcp|tls): what is told/);
    assert.match(line['structured-data'], /^\[tidemark@32473 event="test-[0-9a-f]{32}" kind="test" count="1"\]$/);
  }
});

test('snmptrapd takes traps of v2c and v3, again after a restart of the server, and acknowledges informs', { skip: why }, async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const at = { kind: 'snmp', host: '127.0.0.1', port } as const;
  await add('v2c', { ...at, inform: false, version: { kind: 'v2c', community: 'public' } });
  const engineId = (await platform.ask('notification.list', {})).notifications.find(({ name }) => name === 'v2c')!.engineId!;
  const box = await openTrapReceiver(t, { directory: join(home, 'snmp'), port, engineId });
  const v3 = { kind: 'v3', auth: 'sha', authPassword: 'authpass12', privPassword: 'privpass12' } as const;
  await add('v3', { ...at, inform: false, version: { ...v3, user: 'trapuser' } });
  await add('inform-v2c', { ...at, inform: true, version: { kind: 'v2c', community: 'public' } });
  await add('inform-v3', { ...at, inform: true, version: { ...v3, user: 'informuser' } });
  const traps = (): number => [...box.log().matchAll(/\.1\.3\.6\.1\.4\.1\.32473\.1\.0\.7/g)].length;
  for (const [n, name] of ['v2c', 'v3', 'inform-v2c', 'inform-v3'].entries()) {
    assert.match(await tried(name), name.startsWith('inform') ? /acknowledged it$/ : /a trap has no answer$/);
    await until(`the trap of ${name}`, 5_000, () => (traps() === n + 1 ? true : undefined));
  }
  assert.match(box.log(), /\.32473\.1\.1\.3\.0 = STRING: "a test of this notification"/);
  await platform.restartServer();
  await tried('v3');
  await until('the trap of the next server', 5_000, () => (traps() === 5 ? true : undefined));
  await add('wrong', { ...at, inform: true, version: { ...v3, user: 'informuser', authPassword: 'another-pass' } });
  assert.match(await refused('wrong'), /^tell\.not-reached: SNMP manager/);
});

const promtool = '/usr/bin/promtool';
test('the exposition, the alert rules with their tests, the dashboard and the MIB are as their linters want them', { skip: existsSync(promtool) && existsSync('/usr/bin/smilint') ? false : 'there is no promtool or no smilint on this machine' }, async () => {
  const token = readFileSync(join(platform.data, 'metrics.token'), 'utf8').trim();
  await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  await platform.ended((await platform.ask('point.verify', { params: { point: platform.fake.points.at(-1)!.id }, body: { level: 'full' } })).id);
  const { text } = await platform.raw('GET', '/metrics', { token });
  assert.deepEqual(lint(promtool, ['check', 'metrics'], { input: text }), { ok: true, says: '' });
  const cwd = join(root, 'packaging/monitoring');
  for (const args of [['check', 'rules', 'tidemark-rules.yml'], ['test', 'rules', 'tidemark-rules.test.yml']]) {
    const { ok, says } = lint(promtool, args, { cwd });
    assert.ok(ok, says);
  }
  const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!));
  for (const name of ['set_last_point_timestamp_seconds', 'set_last_verified_timestamp_seconds', 'sessions_ended_total', 'notification_waiting']) assert.ok(known.has(`tidemark_${name}`), name);
  const asked = ['tidemark-rules.yml', 'tidemark-dashboard.json'].flatMap((file) => [...readFileSync(join(cwd, file), 'utf8').matchAll(/\btidemark_[a-z_]+/g)].map(([name]) => name));
  assert.ok(asked.length > 15);
  // Absent until every object of a repository was read once (docs/design/metrics.md).
  assert.deepEqual([...new Set(asked)].filter((name) => !known.has(name)), ['tidemark_repository_read_since_timestamp_seconds'], 'rules and dashboard ask for what is there');
  const { ok, says } = lint('/usr/bin/smilint', ['-s', '-l', '6', join(root, 'packaging/mibs/TIDEMARK-MIB.txt')], { env: { PATH: '/usr/bin', SMIPATH: join(root, 'node_modules/net-snmp/lib/mibs') } });
  assert.deepEqual([ok, says], [true, '']);
});

const nasty = '<script>document.title="taken"</script>';
const report: Report = {
  kind: 'daily', server: 'https://tide.example:9419', fromMs: Date.UTC(2026, 4, 1), toMs: Date.UTC(2026, 4, 2),
  sets: [
    { set: nasty, isProtected: false, reasons: ['no oplog is archived'], lastPointAtMs: null, lastPointAgeSeconds: null, promisedPointHours: 25, lossIfDisasterNowSeconds: null, promisedLossSeconds: 900, window: null, points: 0, bytes: null, grownBytes: null, storedBytes: 0, verified: null, fullyVerified: { atMs: Date.UTC(2026, 4, 1, 3), ok: false, says: 'x', checks: 2, failed: [nasty] }, alarmsOpen: 1, oplogState: 'waiting' },
    { set: 'shop', isProtected: true, reasons: [], lastPointAtMs: Date.UTC(2026, 4, 1, 22), lastPointAgeSeconds: 7_200, promisedPointHours: 25, lossIfDisasterNowSeconds: 6, promisedLossSeconds: 900, window: { fromMs: Date.UTC(2026, 3, 24), toMs: Date.UTC(2026, 4, 2) }, points: 8, bytes: 41e9, grownBytes: 3e8, storedBytes: 1e9, verified: { atMs: Date.UTC(2026, 4, 1, 22, 5), level: 'open' }, fullyVerified: { atMs: Date.UTC(2026, 4, 1, 3), ok: true, says: 'x', checks: 3, failed: [] }, alarmsOpen: 0, oplogState: 'following' },
  ],
  sessions: [{ id: 's2', kind: 'backup', isPlan: false, object: 'shop', state: 'success', startedAtMs: 1, endedAtMs: Date.UTC(2026, 4, 1, 22), warnings: 0, failure: null }, { id: 's1', kind: 'backup', isPlan: false, object: nasty, state: 'failed', startedAtMs: 1, endedAtMs: Date.UTC(2026, 4, 1, 21), warnings: 0, failure: { code: 'mongo.not-reached', message: `no member of "${nasty}" answers`, hint: 'See that it runs.' } }],
  isCut: false, steps: [], bytes: null,
};

test('a report is a page in a browser, light and dark, and a set called <script> is a name on it', { skip: existsSync('/usr/bin/chromium') ? false : 'there is no chromium on this machine' }, async () => {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const looks: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ colorScheme, viewport: { width: 700, height: 800 } });
      const asked: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      await page.setContent(reportHtml(report));
      assert.deepEqual([await page.title(), await page.locator('script').count(), asked], ['Daily report', 0, []]);
      assert.equal(await page.getByText(nasty, { exact: true }).count(), 2);
      assert.match(await page.locator('.sum').innerText(), /^1 of 2 sets is NOT protected as promised\.$/);
      looks.push(await page.evaluate('getComputedStyle(document.body).backgroundColor + " " + getComputedStyle(document.body).color'));
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is wider than the window');
      await page.close();
    }
    assert.deepEqual(looks, ['rgb(246, 248, 250) rgb(31, 41, 51)', 'rgb(17, 22, 28) rgb(221, 228, 234)']);
  } finally {
    await browser.close();
  }
});
