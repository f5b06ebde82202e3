import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layingHeldUpBy, storingHeldUpBy } from './bottleneck.ts';

test('a stage has the name of what it is about, and a place on another machine is the network', () => {
  const here = { location: { kind: 'directory' as const, path: '/backup' } };
  const away = { location: { kind: 'smb' as const, host: 'files', port: 445, share: 'backup', path: '', user: 'b', domain: '', netbios: null } as never };
  assert.deepEqual((['read', 'work', 'write'] as const).map((stage) => storingHeldUpBy(stage, here)), ['source read', 'hash', 'repository write']);
  assert.deepEqual((['read', 'work', 'write'] as const).map((stage) => layingHeldUpBy(stage, here)), ['repository read', 'decompress', 'target write']);
  assert.deepEqual([storingHeldUpBy('write', away), layingHeldUpBy('read', away), storingHeldUpBy('read', away)], ['network', 'network', 'source read']);
  assert.equal(storingHeldUpBy(null, here), null);
});
