import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replaceThisProgram } from './windows-packages.ts';

const named = { name: 'tidemark-deployer', version: '1.1.0' } as const;
/** An `msiexec` that ends with this. */
const ends = (ended: Promise<number | null>) => ({ system: 'C:\\Windows\\System32', installMs: 100, replacedMs: 1, start: async () => await Promise.resolve({ ended }) });

test('an own update whose installer hangs is over when its time is, so that its change can end', { timeout: 10_000 }, async () => {
  await assert.rejects(replaceThisProgram('deployer.msi', named, ends(new Promise(() => {}))), { code: 'base.deadline-passed' });
});

test('an installer that ends well, with a new start of the machine to come or without, has not failed; any other end has', async () => {
  for (const code of [0, 3010]) await assert.rejects(replaceThisProgram('deployer.msi', named, ends(Promise.resolve(code))), { code: 'agent.installation-failed', message: /it ended well, and the service was not replaced/ }, String(code));
  for (const code of [1603, 1641, null]) await assert.rejects(replaceThisProgram('deployer.msi', named, ends(Promise.resolve(code))), { code: 'agent.installation-failed', message: new RegExp(`error ${code}`) }, String(code));
});
