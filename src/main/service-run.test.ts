import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openServiceRun } from './service-run.ts';

let place: string;
before(() => {
  place = mkdtempSync(join(tmpdir(), 'tidemark-service-run-'));
  mkdirSync(join(place, 'elsewhere'));
  symlinkSync('elsewhere', join(place, 'home'));
});
after(() => rmSync(place, { recursive: true }));

const open = (refusedLog: string, home = join(place, 'home')) => openServiceRun({ service: 'tidemark-x', logFile: join(home, 'x.log'), home, onStop: () => {}, refusedLog });

test('a service whose folder is not believed writes why beside its programs, and where it may not write there to its output', (t) => {
  const beside = join(place, 'refused.log');
  open(beside).write('not believed\n');
  assert.equal(readFileSync(beside, 'utf8'), 'not believed\n');
  const told = t.mock.method(process.stderr, 'write', () => true);
  const run = open(join(place, 'not there', 'refused.log'));
  run.write('not believed\n');
  told.mock.restore();
  assert.deepEqual(told.mock.calls.map(({ arguments: [line] }) => line), ['not believed\n']);
  assert.equal(run.output, undefined);
});

test('a service whose folder is believed takes the refusal of before away if it may, and logs in its folder', () => {
  const beside = join(place, 'refused.log');
  open(beside);
  open(beside, join(place, 'own')).write('started\n');
  assert.throws(() => readFileSync(beside), { code: 'ENOENT' });
  open(join(place, 'elsewhere'), join(place, 'own')).write('again\n');
  assert.equal(readFileSync(join(place, 'own/x.log'), 'utf8'), 'started\nagain\n');
});
