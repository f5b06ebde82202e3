/** The file layer in the Windows build of Node, on a drive and by a UNC path. Wine stands in for Windows (docs/reference/windows.md). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWineLab, whyNoWine } from '../kit/wine-lab.ts';

test('a folder of Windows keeps every promise of a storage, on a drive and by the path of a share', { skip: whyNoWine(), timeout: 180_000 }, async (t) => {
  const lab = await openWineLab();
  t.after(async () => await lab[Symbol.asyncDispose]());
  lab.share('nas', 'backup', 'C:\\shared');
  const { code, said } = await lab.run(lab.node, ['--test-reporter=tap', 'Z:\\w\\checkout\\test\\kit\\directory-on-windows.ts', 'C:\\data', '\\\\nas\\backup\\tidemark'], { deadlineMs: 120_000 });
  const results = [...said.matchAll(/^(not ok|ok) \d+ - (.*)$/gm)].map(([, result, name]) => ({ result, name: name! }));
  for (const { result, name } of results) await t.test(name, () => assert.equal(result, 'ok', said.slice(Math.max(0, said.indexOf(`not ok`)), said.indexOf('not ok') + 3000)));
  assert.equal(code, 0, said.slice(-3000));
  const [onDrive, onShare] = [': ', '\\\\'].map((mark) => results.filter(({ name }) => (mark === ': ' ? name.startsWith('C:') : name.startsWith('\\\\'))).length);
  assert.ok(onDrive! >= 15 && onShare === onDrive, `${onDrive} and ${onShare} promises`);
});
