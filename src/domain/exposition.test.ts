import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expositionOf } from './exposition.ts';

test('a name that breaks out of its label stays in it', () => {
  const text = expositionOf([{ name: 'x', help: 'X.', type: 'gauge', samples: [{ labels: { set: 'a"b\\c\nd' }, value: 1 }, { value: 0.5 }] }, { name: 'y', help: 'Y.', type: 'counter', samples: [] }]);
  assert.equal(text, '# HELP x X.\n# TYPE x gauge\nx{set="a\\"b\\\\c\\nd"} 1\nx 0.5\n');
});
