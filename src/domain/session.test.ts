import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasEnded, moveSession, type SessionMove, type SessionStanding } from './session.ts';

const moves: SessionMove[] = [{ kind: 'start' }, { kind: 'ask-to-stop' }, ...(['success', 'warning', 'failed', 'stopped'] as const).map((as) => ({ kind: 'end', as }) as const)];

test('whatever is asked in whatever order, an end state is never left and success comes only after a start', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...moves), { maxLength: 12 }), (asked) => {
      let standing: SessionStanding = { state: 'waiting', stopping: false };
      let started = false;
      for (const move of asked) {
        const next = moveSession(standing, move);
        if (hasEnded(standing.state)) assert.equal(next, 'refused');
        if (next === 'refused') continue;
        started ||= next.state === 'working';
        if (next.state === 'success') assert.ok(started);
        if (standing.stopping) assert.ok(next.stopping);
        standing = next;
      }
    }),
  );
});

test('a stop of waiting work ends it; a stop of running work waits for its own end', () => {
  assert.deepEqual(moveSession({ state: 'waiting', stopping: false }, { kind: 'ask-to-stop' }), { state: 'stopped', stopping: true });
  assert.deepEqual(moveSession({ state: 'working', stopping: false }, { kind: 'ask-to-stop' }), { state: 'working', stopping: true });
});
