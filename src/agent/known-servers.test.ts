import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
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
  await rememberServers(workDirectory, { server: '[::1]:10002', dial, servers: [] });
  return { workDirectory, open: async (more = given) => openKnownServers({ workDirectory, known: await rememberedServers(workDirectory), given: more }) };
}

const hostsOf = (known: KnownServers): string[][] => [known.dials(), known.enrolments()].map((places) => places.map(({ host, port }) => `${host} ${port}`));

test('a host goes to the server of its kit until one tells it of all, in place of that one, and knows them after a restart', async (t) => {
  const host = await openHost(t, '[::1]:10006');
  const known = await host.open();
  assert.deepEqual(hostsOf(known), [['::1 10006'], ['::1 10002']]);
  let changes = 0;
  known.onLearn(() => changes++);
  for (let twice = 0; twice < 2; twice++) await known.learn([server('a'), server('b', 100)]);
  assert.equal(changes, 1, 'what is known already changes nothing');
  assert.deepEqual(hostsOf(known), [['a 10006', 'b 10106'], ['a 10002', 'b 10102']]);
  assert.deepEqual(hostsOf(await host.open()), hostsOf(known));
  await known.learn([]);
  assert.deepEqual(hostsOf(await host.open()), hostsOf(known), 'none at all is no answer to where they are');
});

test('servers behind one address are one link', async (t) => {
  const known = await (await openHost(t, 'a:10006')).open();
  await known.learn([server('tide'), server('tide')]);
  assert.deepEqual(hostsOf(known), [['tide 10006'], ['tide 10002']]);
});

test('a host that servers dial learns where it renews its certificate, and dials nobody', async (t) => {
  const known = await (await openHost(t, null)).open();
  await known.learn([server('a'), server('b')]);
  assert.deepEqual(hostsOf(known), [[], ['a 10002', 'b 10002']]);
});

test('what stands in the settings counts alone', async (t) => {
  const known = await (await openHost(t, 'a:10006')).open({ dial: { host: 'nat', port: 1 }, server: { host: 'nat', port: 2 } });
  await known.learn([server('a'), server('b')]);
  assert.deepEqual(hostsOf(known), [['nat 1'], ['nat 2']]);
});
