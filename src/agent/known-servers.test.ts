import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { scratch } from '../../test/kit/scratch.ts';
import type { ServerAddress } from '../contract/values.ts';
import { openKnownServers, rememberedServers, rememberServers, type KnownServers } from './known-servers.ts';

const server = (host: string, shift = 0): ServerAddress => ({ enrolment: { host, port: 10_002 + shift }, orders: { host, port: 10_006 + shift } });
const given = {};

async function openHost(t: TestContext, dial: string | null): Promise<{ workDirectory: string; open(more?: Parameters<typeof openKnownServers>[0]['given']): Promise<KnownServers> }> {
  const workDirectory = await mkdtemp(join(scratch, 'tm-known-'));
  t.after(async () => await rm(workDirectory, { recursive: true }));
  await rememberServers(workDirectory, { server: '[::1]:10002', dial, servers: [], worked: null });
  return { workDirectory, open: async (more = given) => openKnownServers({ workDirectory, known: await rememberedServers(workDirectory), given: more }) };
}

const hostsOf = (known: KnownServers): string[][] => [known.dials(), known.lastResorts(), known.enrolments()].map((places) => places.map(({ host, port }) => `${host} ${port}`));

test('a host goes to the server of its kit until one tells it of all, and knows them after a restart, with the kit\'s as a last resort', async (t) => {
  const host = await openHost(t, '[::1]:10006');
  const known = await host.open();
  assert.deepEqual(hostsOf(known), [['::1 10006'], [], ['::1 10002']]);
  let changes = 0;
  known.onLearn(() => changes++);
  for (let twice = 0; twice < 2; twice++) await known.learn([server('a'), server('b', 100)]);
  assert.equal(changes, 1, 'what is known already changes nothing');
  assert.deepEqual(hostsOf(known), [['a 10006', 'b 10106'], ['::1 10006'], ['a 10002', 'b 10102', '::1 10002']]);
  assert.deepEqual(hostsOf(await host.open()), hostsOf(known));
  await known.learn([]);
  assert.deepEqual(hostsOf(await host.open()), hostsOf(known), 'none at all is no answer to where they are');
});

test('the address that worked last is a last resort, also after a restart, however often others are told', async (t) => {
  const host = await openHost(t, 'kit:10006');
  const known = await host.open();
  await known.learn([server('a'), server('b')]);
  await Promise.all([known.worked({ host: 'b', port: 10_006 }), known.learn([server('wrong')]), known.worked({ host: 'nobody told', port: 1 })]);
  await known.learn([server('worse')]);
  assert.deepEqual(hostsOf(known), [['worse 10006'], ['b 10006', 'kit 10006'], ['worse 10002', 'b 10002', '::1 10002']]);
  assert.deepEqual(hostsOf(await host.open()), hostsOf(known));
});

test('a list that cannot be read leaves the server of the kit', async (t) => {
  const host = await openHost(t, 'kit:10006');
  await writeFile(join(host.workDirectory, 'server.json'), JSON.stringify({ server: 'kit:10002', dial: 'kit:10006', servers: [{ orders: 'nowhere' }], worked: 7 }));
  assert.deepEqual(hostsOf(await host.open()), [['kit 10006'], [], ['kit 10002']]);
});

test('servers behind one address are one link', async (t) => {
  const known = await (await openHost(t, 'a:10006')).open();
  await known.learn([server('tide'), server('tide')]);
  assert.deepEqual(hostsOf(known)[0], ['tide 10006']);
});

test('a host that servers dial learns where it renews its certificate, and dials nobody', async (t) => {
  const known = await (await openHost(t, null)).open();
  await known.learn([server('a'), server('b')]);
  await known.worked({ host: 'b', port: 10_002 });
  await known.learn([server('a')]);
  assert.deepEqual(hostsOf(known), [[], [], ['a 10002', 'b 10002', '::1 10002']]);
});

test('what stands in the settings counts alone', async (t) => {
  const known = await (await openHost(t, 'a:10006')).open({ dial: { host: 'nat', port: 1 }, server: { host: 'nat', port: 2 } });
  await known.learn([server('a'), server('b')]);
  assert.deepEqual(hostsOf(known), [['nat 1'], [], ['nat 2']]);
});
