/** What is told of a server's work, over its REST API, to a webhook receiver on this machine. The other channels are in test/platform/telling.test.ts. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { until } from '../../base/deadline.ts';
import type { Told } from '../../contract/notifications.ts';
import { failWith } from '../../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../../test/kit/server-platform.ts';

const secret = 'a secret of the receiver';
type Heard = { readonly told: Told; readonly body: string; readonly headers: IncomingHttpHeaders };
const heard: Heard[] = [];
let answer: { status: number; location?: string } = { status: 204 };
const receiver = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (part: string) => (body += part));
  request.on('end', () => {
    if (answer.status < 300) heard.push({ told: JSON.parse(body) as Told, body, headers: request.headers });
    response.writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location }).end(answer.status < 300 ? '' : 'not today');
  });
});
const url = (): string => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?key=hush`;

let platform: ServerPlatform;
before(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  platform = await openServerPlatform({ tellEveryMs: 20 });
  await platform.addSet();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  receiver.closeAllConnections();
  receiver.close();
});

const add = async (name: string, rule: object): Promise<unknown> => await platform.ask('notification.add', { body: { name, channel: { kind: 'webhook', url: url(), secret }, rule } });
const hears = async (what: string, wanted: (told: Told) => boolean): Promise<Heard> => await until(what, 10_000, () => heard.find(({ told }) => wanted(told)), { everyMs: 20 });
const runBackup = async (): Promise<string> => (await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).id;
const standing = async (name: string) => (await platform.ask('notification.list', {})).notifications.find((one) => one.name === name)!;

test('the end of a session is told once, signed, with its report; the secret is nowhere to be read', async () => {
  await add('all', { on: ['success', 'failed', 'warning', 'stopped'] });
  const session = await runBackup();
  const { told, body, headers } = await hears('the backup', (one) => one.session?.id === session);
  assert.deepEqual([told.kind, told.title, told.object], ['session', 'backup of rs0: success', { kind: 'set', name: 'rs0' }]);
  assert.equal(headers['tidemark-event'], told.id);
  assert.equal(headers['tidemark-signature'], `v1=${createHmac('sha256', secret).update(`${headers['tidemark-timestamp'] as string}.${told.id}.${body}`).digest('hex')}`);
  await until('it to be noted', 5_000, async () => ((await standing('all')).told === 1 ? true : undefined), { everyMs: 20 });
  assert.equal(heard.length, 1);
  const { text } = await platform.raw('GET', '/api/v1/notifications');
  assert.doesNotMatch(text, /a secret of|hush/);
  assert.equal((await readFile(join(platform.data, 'server', 'catalog.sqlite'))).includes('a secret of'), false);
  assert.doesNotMatch(platform.logged.join(''), /a secret of|hush/);
  assert.ok(platform.logged.some((line) => line.includes('"message":"told"') && line.includes(session)), 'the log names the session');
});

test('what a receiver does not take now waits, through a restart of the server, and is then told in order', async () => {
  answer = { status: 503 };
  heard.length = 0;
  const sessions = [await runBackup(), await runBackup()];
  await until('the first try', 10_000, async () => ((await standing('all')).says?.includes('503') ? true : undefined), { everyMs: 20 });
  await until('both to wait', 10_000, async () => ((await standing('all')).waiting === 2 ? true : undefined), { everyMs: 20 });
  await platform.restartServer();
  answer = { status: 200 };
  await platform.ask('notification.test', { params: { notification: 'all' } });
  await until('both', 15_000, () => (heard.filter(({ told }) => told.kind === 'session').length === 2 ? true : undefined), { everyMs: 20 });
  assert.deepEqual(heard.filter(({ told }) => told.kind === 'session').map(({ told }) => told.session?.id), sessions);
});

test('a redirect is followed to nobody, and what the receiver will never take is given up at once', async () => {
  answer = { status: 302, location: 'http://127.0.0.2:9/' };
  const refused = await platform.refused('notification.test', { params: { notification: 'all' } });
  assert.deepEqual([refused.status, refused.code], [502, 'tell.not-now']);
  assert.match(refused.message, /302, which leads to http:\/\/127\.0\.0\.2:9 and is not followed/);
  answer = { status: 422 };
  assert.match((await platform.refused('notification.test', { params: { notification: 'all' } })).message, /does not take it: 422: not today/);
  await runBackup();
  await until('it to be given up', 5_000, async () => ((await standing('all')).givenUp === 1 ? true : undefined), { everyMs: 20 });
  answer = { status: 200 };
});

test('a flood becomes a digest that counts what it holds back', async () => {
  await platform.ask('notification.remove', { params: { notification: 'all' } });
  await add('few', { on: ['success'], perHour: 1 });
  heard.length = 0;
  for (let n = 0; n < 4; n++) await runBackup();
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  const held = database.prepare("select count(*) as held from tellings where state = 'held' and notification = (select id from notifications where name = 'few')");
  await until('three to be held', 10_000, () => (held.get()!['held'] === 3 ? true : undefined), { everyMs: 20 });
  database.close();
  assert.equal(heard.length, 1);
  // The hour is counted in memory: a new server has a fresh one.
  await platform.restartServer();
  const { told } = await hears('the digest', (one) => one.kind === 'digest');
  assert.deepEqual([told.count, told.lines.length], [3, 3]);
  await platform.ask('notification.remove', { params: { notification: 'few' } });
});

test('of a backup that is tried again by itself only the last failure is told; the alarm that asked for it at once', async () => {
  await add('last', { on: ['failed', 'alarm'], about: ['set:rs0'] });
  await add('every', { on: ['failed'], lastRetryOnly: false });
  await add('others', { on: ['failed', 'alarm'], about: ['repository:default'] });
  heard.length = 0;
  const usual = { ...platform.fake.scripts };
  platform.fake.scripts.backup = async () => Promise.reject(failWith('mongo.not-reached', 'no member answers'));
  platform.fake.scripts.oplog = async (input, voice) => {
    voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'broken', value: { atMs: 5, reason: 'the oplog rolled over', chain: 'c1', next: 'c2', after: { t: 1500, i: 1, term: 1 } } });
    return await usual.oplog(input, voice);
  };
  await platform.fake.restart();
  const alarm = await hears('the alarm', ({ kind }) => kind === 'alarm');
  assert.equal(alarm.told.severity, 'critical');
  assert.match(alarm.told.lines[0]!, /the oplog rolled over; what happened after 1500,1/);
  const first = await hears('the first failure, where each is wanted', ({ kind, session }) => kind === 'session' && session?.state === 'failed');
  const later = [await runBackup(), await runBackup(), await runBackup()];
  const tellings = async (): Promise<string[]> => await until('all four', 10_000, () => {
    const all = heard.filter(({ told }) => told.session?.state === 'failed').map(({ told }) => told.session!.id);
    return all.length >= 5 ? all : undefined;
  }, { everyMs: 20 });
  // Four for the one that wants every try, and the last one for the other.
  assert.deepEqual((await tellings()).toSorted(), [first.told.session!.id, ...later, later[2]!].toSorted());
  assert.equal((await standing('others')).told, 0);
  assert.deepEqual([(await standing('last')).told, (await standing('every')).told], [2, 4]);
  Object.assign(platform.fake.scripts, usual);
  for (const name of ['last', 'every', 'others']) await platform.ask('notification.remove', { params: { notification: name } });
});

test('what the warden of a host tells is an alarm of the host and of the repository in that place, told once, and shown until it is mended', async () => {
  await add('wardens', { on: ['alarm'], about: ['host:local'] });
  await add('place', { on: ['alarm'], about: ['repository:default'] });
  heard.length = 0;
  const [repository] = (await platform.ask('repository.list', {})).repositories;
  const place = (repository!.location as { path: string }).path;
  platform.fake.wardenAlarms = [{ atMs: 5_000, place, says: '1 name is not as it should be: tidemark.json (it is a pipe)' }, { atMs: 6_000, place: null, says: 'the clock was turned back by 3 hours' }];
  const reconnect = async (): Promise<void> => {
    const asked = (): number => platform.fake.answered.filter((name) => name === 'warden.alarms').length;
    const before = asked();
    await platform.fake.cut();
    await platform.fake.mend();
    await until('the host to be asked', 10_000, () => (asked() > before ? true : undefined), { everyMs: 20 });
  };
  const standing = async (): Promise<unknown[]> => (await platform.ask('host.list', { query: {} })).alarms;
  await reconnect();
  await until('three messages', 10_000, () => (heard.length === 3 ? true : undefined), { everyMs: 20 });
  assert.deepEqual(heard.map(({ told }) => [told.kind, told.severity, told.object?.name]), Array.from({ length: 3 }, () => ['alarm', 'critical', 'local']));
  assert.equal(heard.filter(({ told }) => /it is a pipe/.test(told.lines[0]!)).length, 2, 'both hear of the place');
  await until('both to stand', 5_000, async () => ((await standing()).length === 2 ? true : undefined), { everyMs: 20 });
  platform.fake.wardenAlarms = platform.fake.wardenAlarms.slice(1);
  await reconnect();
  await until('one to be settled', 5_000, async () => ((await standing()).length === 1 ? true : undefined), { everyMs: 20 });
  assert.equal(heard.length, 3);
  assert.match((await platform.raw('GET', '/metrics', { token: (await readFile(join(platform.data, 'metrics.token'), 'utf8')).trim() })).text, /tidemark_host_alarms_open\{host="local"\} 1/);
  for (const name of ['wardens', 'place']) await platform.ask('notification.remove', { params: { notification: name } });
});

test('the daily report comes once a day, and once for all days that were missed', async () => {
  heard.length = 0;
  await platform.ask('notification.add', { body: { name: 'daily', channel: { kind: 'webhook', url: url(), secret }, rule: { on: [], dailyAt: '22:00' } } });
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  database.prepare("update notifications set summary_from_ms = summary_from_ms - 259200000 where name = 'daily'").run();
  database.close();
  const { told } = await hears('the report', (one) => one.kind === 'summary');
  assert.match(told.title, /^daily report: \d of 1 sets protected, \d+ sessions, \d+ failed$/);
  assert.equal(heard.length, 1);
  assert.ok((await standing('daily')).nextSummaryAtMs! > 0);
});

test('the metrics and the health answer their own token, and it opens nothing else', async () => {
  const token = (await readFile(join(platform.data, 'metrics.token'), 'utf8')).trim();
  const { status, text, headers } = await platform.raw('GET', '/metrics', { token });
  assert.deepEqual([status, headers['content-type']], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.match(text, /^tidemark_set_oplog_following\{set="rs0"\} 1$/m);
  assert.match(text, /^tidemark_sessions_ended_total\{kind="backup",state="success"\} \d+$/m);
  assert.deepEqual((await platform.raw('GET', '/health', { token })).json.ok, true);
  assert.equal((await platform.raw('GET', '/metrics', { token: null })).status, 401);
  for (const path of ['sets', 'sessions', 'audit', 'notifications', 'server']) assert.equal((await platform.raw('GET', `/api/v1/${path}`, { token })).status, 403, path);
});

test('a receiver is in the port plan, on its port, unless it is on this machine', async () => {
  for (const [name, channel] of Object.entries({ m: { kind: 'mail', host: '192.0.2.5', from: 'a@b.test', to: ['c@d.test'] }, l: { kind: 'syslog', host: '192.0.2.6', port: 6514, transport: 'tls' }, t: { kind: 'snmp', host: '192.0.2.7', version: { kind: 'v2c', community: 'hush' } }, h: { kind: 'webhook', url: 'https://192.0.2.8:8443/x', secret } } as const)) await platform.ask('notification.add', { body: { name, channel: channel as never, rule: {} } });
  const { rows } = await platform.ask('ports.matrix', { query: {} });
  assert.deepEqual(rows.filter(({ row }) => [23, 24, 25, 31].includes(row)).map(({ row, to, protocol, ports, service }) => [row, to.name, protocol, ports[0]!.from, service]), [[23, '192.0.2.5', 'tcp', 587, 'smtp'], [24, '192.0.2.6', 'tcp', 6514, 'tcp'], [25, '192.0.2.7', 'udp', 162, 'silent'], [31, '192.0.2.8', 'tcp', 8443, 'https']]);
});

test('a rule about what is not there, and a password without TLS, are refused; one about a policy that is there is kept', async () => {
  await platform.ask('policy.add', { body: { name: 'seldom', schedule: { kind: 'manual' } } });
  const { rule } = await platform.ask('notification.add', { body: { name: 'of-seldom', channel: { kind: 'webhook', url: url(), secret }, rule: { about: ['policy:seldom'] } } });
  assert.deepEqual(rule.about, ['policy:seldom']);
  await platform.ask('policy.edit', { params: { policy: 'seldom' }, body: { name: 'rarely', schedule: { kind: 'manual' } } });
  const { notifications } = await platform.ask('notification.list', {});
  assert.deepEqual(notifications.find(({ name }) => name === 'of-seldom')?.rule.about, ['policy:rarely'], 'it goes with the name of what it is about');
  const refusal = async (channel: object, rule: object): Promise<string> => (await platform.refused('notification.add', { body: { name: 'unfit', channel: channel as never, rule } })).message;
  assert.match(await refusal({ kind: 'webhook', url: url(), secret }, { about: ['set:nowhere'] }), /there is no set nowhere/);
  assert.match(await refusal({ kind: 'webhook', url: url(), secret }, { about: ['policy:nowhere'] }), /there is no policy nowhere/);
  assert.match(await refusal({ kind: 'mail', host: 'm', from: 'a@b.test', to: ['c@d.test'], security: 'none', signIn: { user: 'u', password: 'p' } }, {}), /not sent without TLS/);
});
