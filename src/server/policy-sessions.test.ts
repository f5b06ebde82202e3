import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCatalog } from '../catalog/catalog.ts';
import { policyDocument } from '../contract/policies.ts';
import type { Discovered } from '../contract/values.ts';
import { openPolicyWork } from './policy-sessions.ts';

const member = (id: number, state: 'primary' | 'secondary', hidden: boolean) => ({ id, host: `db${id}`, port: 27017, state, health: true, priority: hidden ? 0 : id, votes: 1, hidden, delaySeconds: 0, lagSeconds: 0, isArbiter: false });
const found = {
  setId: 's1', name: 'rs0', mongoVersion: '6.0.5', featureCompatibilityVersion: '6.0',
  members: [member(1, 'primary', false), member(2, 'secondary', false), member(3, 'secondary', false), member(4, 'secondary', true)],
  local: [1, 2, 3, 4].map((n) => ({ member: `db${n}:27017`, host: `h${n}`, dbPath: '/data', fileSystem: 'xfs', methods: [{ method: 'clone', possible: true, why: '' }], binary: '/mongod' })),
} satisfies Record<keyof Discovered, unknown>;

test('the host that a part counts for is that of the node which its policy wishes', async () => {
  await using catalog = await openCatalog(':memory:');
  await catalog.repositories.add({ id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null });
  await catalog.sets.add({ id: 's1', name: 'rs0', repository: 'r1', sealed_target: '', sign_in: 'none', hosts: '[]', discovered: JSON.stringify(found), added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
  const unasked = async (): Promise<never> => await Promise.reject(new Error('nobody asks for that'));
  const work = openPolicyWork({
    catalog, wake: () => {},
    engine: { start: unasked, stop: unasked, ended: unasked },
    alarms: { asking: unasked, look: () => {} },
    sets: { find: unasked },
    points: { summary: ({ summary }) => JSON.parse(summary) },
    placement: { near: async () => await Promise.resolve('near'), leftOut: async () => await Promise.resolve([]), ofMember: ({ local }, address) => local.find((one) => one.member === address)?.host ?? 'none' },
  });
  const policy = (given: object) => policyDocument.parse({ name: 'p', sets: ['s1'], ...given });
  const hosts = async (...policies: (ReturnType<typeof policy> | null)[]) => (await work.places(policies.map((one) => ({ set: 's1', policy: one })))).map((place) => place?.host);
  const wishes = [null, policy({}), policy({ name: 'q', overrides: { s1: { preferredNode: 'db3:27017' } } }), policy({ name: 'h', source: { hiddenFirst: true } }), policy({ name: 'n', source: { failOver: false }, overrides: { s1: { preferredNode: 'db9:27017' } } })];
  assert.deepEqual(await hosts(...wishes), ['h4', 'h4', 'h3', 'h4', 'near'], 'the lowest priority first');
  await catalog.points.add({ id: 'p1', set_id: 's1', repository: 'r1', created_ms: 1, summary: '{"source":"db2:27017"}', lost: 0 });
  assert.deepEqual(await hosts(policy({}), ...wishes.slice(2)), ['h2', 'h3', 'h2', 'near']);
  assert.deepEqual(await work.places([{ set: 'gone', policy: null }]), [undefined]);
});
