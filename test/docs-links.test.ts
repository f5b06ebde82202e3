import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

test('every link from one page of the project to another leads somewhere', () => {
  const pages = globSync(['*.md', 'docs/**/*.md', 'changelog/**/*.md'], { cwd: root });
  assert.ok(pages.length > 2, 'the pages were found');
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8').replace(/```[\s\S]*?```|`[^`]*`/g, '');
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!.split('#')[0]!);
    const local = targets.filter((target) => target !== '' && !/^[a-z]+:/.test(target));
    return local.filter((target) => !existsSync(join(root, dirname(page), target))).map((target) => `${page}: ${target}`);
  });
  assert.deepEqual(broken, []);
});
