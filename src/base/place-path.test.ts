import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placePathProblem } from './place-path.ts';

test('a folder of the host\'s own system is taken', () => {
  for (const path of ['/srv/backup', '/', '//srv/backup', '/srv/C:\\Backup']) assert.equal(placePathProblem(path, 'linux'), undefined, path);
  for (const path of ['C:\\Backup', 'd:/backup', '\\\\nas\\backup\\tidemark', '//nas/backup/tidemark']) assert.equal(placePathProblem(path, 'windows'), undefined, path);
});

test('one of the other system is refused by its name, and one without a beginning is none', () => {
  for (const path of ['C:\\Backup', 'c:/backup', 'C:', '\\\\nas\\backup']) assert.equal(placePathProblem(path, 'linux'), `${path} is a path of Windows, and this host runs Linux`);
  for (const path of ['/srv/backup', '/']) assert.equal(placePathProblem(path, 'windows'), `${path} is a path of Linux, and this host runs Windows`);
  for (const path of ['', 'backup', './backup', '~/backup']) assert.equal(placePathProblem(path, 'linux'), `${path} does not begin with "/"`);
  assert.match(placePathProblem('backup', 'windows') ?? '', /neither a drive's/);
});
