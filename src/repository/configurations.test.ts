import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStorage } from '../../test/kit/memory-storage.ts';
import { keepConfiguration, listConfigurations } from './configurations.ts';

const minuteMs = 60_000;
const startMs = Date.UTC(2026, 4, 1);
const nameAt = (ms: number): string => `server/aa/${ms.toString(16).padStart(12, '0')}abcdef012345`;
const timeOf = (name: string): number => Number.parseInt(name.slice(name.lastIndexOf('/') + 1).slice(0, 12), 16);

test('copies of the configuration that are made each minute for weeks reach back by the minute, by the hour and by the day', async () => {
  const storage = memoryStorage();
  await storage.put('server/bb/000000000001abcdef012345', new Uint8Array(), 'new');
  let nowMs = startMs;
  // Every minute would be 43,200 copies; what is made in between is gone long before the end.
  for (; nowMs < startMs + 40 * 24 * 60 * minuteMs; nowMs += 97 * minuteMs) await keepConfiguration(storage, nameAt(nowMs), new Uint8Array(), 30);
  for (let n = 0; n < 90; n++, nowMs += minuteMs) await keepConfiguration(storage, nameAt(nowMs), new Uint8Array(), 30);
  const times = (await listConfigurations(storage)).filter((name) => name.startsWith('server/aa/')).map(timeOf);
  const ages = times.map((ms) => (nowMs - ms) / minuteMs);
  assert.ok(ages.slice(0, 30).every((age, n) => age === n + 1), 'the newest thirty, whatever their times');
  const days = new Set(times.map((ms) => Math.floor(ms / (24 * 60 * minuteMs))));
  const today = Math.floor((nowMs - minuteMs) / (24 * 60 * minuteMs));
  for (let back = 0; back < 30; back++) assert.ok(days.has(today - back), `one of ${back} days ago`);
  assert.ok(ages.filter((age) => age < 24 * 60).length >= 30 + 12, 'and one of each hour of the last day that has one');
  assert.ok(times.length <= 84, `${times.length} in all`);
  assert.equal((await listConfigurations(storage)).length, times.length + 1, 'those of another installation are not touched');
});

test('a copy whose time lies years ahead takes one place and no more', async () => {
  const storage = memoryStorage();
  for (let day = 0; day < 20; day++) await keepConfiguration(storage, nameAt(startMs + day * 24 * 60 * minuteMs), new Uint8Array(), 3);
  await keepConfiguration(storage, nameAt(startMs + 3_000 * 24 * 60 * minuteMs), new Uint8Array(), 3);
  assert.equal((await listConfigurations(storage)).length, 21);
});
