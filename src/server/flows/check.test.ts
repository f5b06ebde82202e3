import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionResult } from '../../contract/sessions.ts';
import { checkFlow, type CheckServices } from './check.ts';

const flow = checkFlow({} as CheckServices);
const archive = (set: string, ok: boolean) => ({ set, ok }) as Extract<SessionResult, { kind: 'check' }>['archives'][number];

test('of a check that found damage the damaged archives alone are tried again; one that found none is not', () => {
  const asked = { repository: 'r1', readDataPercent: 100, slice: null, nightMs: null, only: null };
  assert.deepEqual(flow.failedOnly?.(asked, { kind: 'check', ok: false, archives: [archive('rs0', true), archive('rs1', false), archive('rs2', false)] }), { ...asked, only: ['rs1', 'rs2'] });
  assert.equal(flow.failedOnly?.(asked, { kind: 'check', ok: true, archives: [archive('rs0', true)] }), null);
  assert.equal(flow.laneOf?.(asked), null);
});

test('a re-read that is tried again has the lane of re-reads, and counts for no night', () => {
  const asked = { repository: 'r1', readDataPercent: 0, slice: { of: 30, parts: [4] }, nightMs: 5, only: null };
  assert.deepEqual(flow.failedOnly?.(asked, { kind: 'check', ok: false, archives: [archive('rs1', false)] }), { ...asked, nightMs: null, only: ['rs1'] });
  assert.equal(flow.laneOf?.(asked), 'reread:r1');
});
