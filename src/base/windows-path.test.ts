import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowsPathProblem } from './windows-path.ts';

test('folders of drives and shares are taken, in their long forms too', () => {
  for (const path of ['C:\\Tidemark', 'd:/backup/mongo', '\\\\nas\\backup\\tidemark', '\\\\?\\C:\\Tidemark', '\\\\?\\UNC\\nas\\backup\\x', 'C:\\a.b\\-c_d']) assert.equal(windowsPathProblem(path), undefined, path);
});

test('what Windows would take for something else is refused with its reason', () => {
  const bad: [string, RegExp][] = [
    ['backup', /neither a drive's/], ['C:backup', /neither/], ['/srv/backup', /neither/], ['\\\\nas', /neither/], ['\\Tidemark', /neither/],
    ['C:\\con', /device/], ['C:\\a\\AUX.txt', /device/], ['C:\\com1', /device/], ['C:\\lpt².log', /device/], ['\\\\nas\\nul\\a', /device/],
    ['C:\\a:b', /character/], ['C:\\a*', /character/], ['C:\\a\nb', /character/], ['C:\\a.\\b', /dot or a space/], ['C:\\a ', /dot or a space/], ['C:\\a\\..\\b', /goes through/],
  ];
  for (const [path, why] of bad) assert.match(windowsPathProblem(path) ?? '', why, path);
});
