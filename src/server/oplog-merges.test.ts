import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadlinePassed } from '../base/failures.ts';
import type { FlowContext } from './flow.ts';
import { openOplogMerges } from './oplog-merges.ts';
import { openOplogTending } from './oplog-tending.ts';

const archive = { id: 's', repository: 'r' };
const at = { host: 'h', repository: 'r', setId: 's', right: 'append' } as const;

type Runs = { version: string | null; isOtherContract?: boolean };

/** Hosts by their ids; `h` holds the repository, and a member is on `m`. */
function optionsOf(hosts: Record<string, Runs>, answer: () => Promise<unknown> = async () => await Promise.resolve({ goes: [], full: 0, merges: 0 })) {
  return {
    catalog: { sets: { find: async () => ({ discovered: JSON.stringify({ setId: 's', name: 'rs0', mongoVersion: '6.0.5', featureCompatibilityVersion: '6.0', members: [], local: [{ member: 'm:1', host: 'm', dbPath: '/d', fileSystem: 'xfs', methods: [], binary: '/m' }] }) }) }, sessions: { unfinished: async () => [] } },
    archives: { find: async () => ({ host: 'h' }), access: async () => ({}) },
    links: { all: () => Object.entries(hosts).map(([id, { version, isOtherContract = false }]) => ({ id, host: id, standing: () => ({ version, isOtherContract }) })), of: () => ({ ask: answer }) },
    believed: { now: async () => 0 },
    points: {},
    version: '2.1.0',
  } as never;
}

test('oplog is merged while no host is known to be older than the server, and those that have to do with the archive are known', async () => {
  const isDue = async (hosts: Record<string, Runs>): Promise<boolean> => await openOplogMerges(optionsOf(hosts)).isDue(archive, 5);
  const now = { version: '2.1.0' };
  assert.equal(await isDue({ h: now, m: now, other: { version: '2.2.0' } }), true);
  assert.equal(await isDue({ h: now, m: now, other: { version: null } }), true, 'one that has not been there, and has nothing to do with the archive');
  assert.equal(await isDue({ h: now, m: now, other: { version: '2.0.9' } }), false);
  assert.equal(await isDue({ h: now, m: { version: null } }), false);
  assert.equal(await isDue({ h: { version: null }, m: now }), false);
  assert.equal(await isDue({ h: now, m: now, other: { version: null, isOtherContract: true } }), false);
});

test('what cannot be merged is not due again before something has changed, and what waits or is left is', async () => {
  let answers = { left: 0, stays: 1, full: [] as unknown[] };
  const context = { step: async () => {}, tell: async () => {}, signal: new AbortController().signal, task: async () => await Promise.resolve({ what: 'merge', slices: 0, into: 0, bytes: 0, files: 3, held: null, ...answers }) } as unknown as FlowContext;
  const merges = openOplogMerges(optionsOf({ h: { version: '2.1.0' } }));
  const run = async (): Promise<void> => void (await merges.merge({ archive, at, unread: async () => await Promise.resolve([]), due: async () => await Promise.resolve(2) }, context));
  assert.equal(await merges.isDue(archive, 2), true);
  await run();
  assert.deepEqual([await merges.isDue(archive, 2), await merges.isDue(archive, 3), await merges.isDue(archive, 1)], [false, true, true]);
  for (const more of [{ left: 4, stays: 1, full: [] }, { left: 0, stays: 1, full: [{}] }, { left: 0, stays: 0, full: [] }]) {
    answers = more;
    await run();
    assert.equal(await merges.isDue(archive, 2), true, JSON.stringify(more));
  }
});

test('an archive whose oplog is not looked through in time is due, and one whose host cannot be asked is not known to be', async () => {
  const dueWhen = (why: Error) => openOplogTending(optionsOf({}, async () => await Promise.reject(why)), () => ({}) as never).isDue(archive, null);
  assert.equal(await dueWhen(deadlinePassed({ what: 'h to answer archive.oplog-plan', ms: 60_000 })), true);
  await assert.rejects(dueWhen(new Error('no link')), /no link/);
});
