import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../base/clock.ts';
import { openInstallTokens } from './install-tokens.ts';
import type { StoredPackage } from './package-store.ts';
import { rangeIn } from './send-bytes.ts';

const stored = { manifest: {}, signed: {}, file: '/x' } as unknown as StoredPackage;
const turned = () => {
  const clock = { at: 1_000_000, now: () => clock.at, monotonicMs: () => clock.at, wait: async () => {} };
  return clock satisfies Clock;
};
const refused = (why: RegExp) => ({ code: 'depot.install-token-refused', message: why });

test('a token is redeemed once, and its ticket opens its package for a quarter of an hour', () => {
  const clock = turned();
  const tokens = openInstallTokens(clock);
  const { token } = tokens.make({ host: 'db1', kit: 'the kit', package: stored });
  const { kit, ticket } = tokens.redeem(token, 'a');
  assert.equal(kit, 'the kit');
  assert.throws(() => tokens.redeem(token, 'a'), refused(/used already/));
  assert.equal(tokens.archive(ticket, 'a'), stored);
  clock.at += 900_000;
  assert.throws(() => tokens.archive(ticket, 'a'), refused(/not known or over/));
});

test('a token is over after an hour, and one that was never made is not known', () => {
  const clock = turned();
  const tokens = openInstallTokens(clock);
  const { token } = tokens.make({ host: 'db1', kit: '', package: stored });
  clock.at += 3_600_000;
  assert.throws(() => tokens.redeem(token, 'a'), refused(/it is over/));
  assert.throws(() => tokens.redeem('guess', 'a'), refused(/not known/));
});

test('twenty wrong tokens a minute shut out their address, not another one', () => {
  const clock = turned();
  const tokens = openInstallTokens(clock);
  const { token } = tokens.make({ host: 'db1', kit: '', package: stored });
  for (let k = 0; k < 20; k++) assert.throws(() => tokens.redeem(`guess ${k}`, 'a'), refused(/not known/));
  assert.throws(() => tokens.redeem(token, 'a'), refused(/too many wrong ones/));
  clock.at += 60_000;
  assert.equal(tokens.redeem(token, 'a').host, 'db1');
});

test('ranges are those of HTTP, and what lies outside the archive is none', () => {
  assert.deepEqual(rangeIn('bytes=0-9', 100), { from: 0, to: 9 });
  assert.deepEqual(rangeIn('bytes=90-', 100), { from: 90, to: 99 });
  assert.deepEqual(rangeIn('bytes=-10', 100), { from: 90, to: 99 });
  assert.deepEqual(rangeIn('bytes=90-500', 100), { from: 90, to: 99 });
  for (const wrong of ['bytes=100-', 'bytes=5-4', 'bytes=-', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-0']) assert.equal(rangeIn(wrong, 100), undefined, wrong);
});
