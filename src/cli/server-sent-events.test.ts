import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readEvents } from './server-sent-events.ts';

async function readIn(pieces: Uint8Array[]): Promise<string[]> {
  const chunks = (async function* () {
    yield* pieces;
  })();
  const found: string[] = [];
  for await (const data of readEvents(chunks)) found.push(data);
  return found;
}

test('events come out whole wherever the network cuts the stream', async () => {
  const stream = Buffer.from(': hello\n\nid: 1\ndata: {"a":"ü"}\n\n: still here\n\nevent: x\ndata: one\ndata:two\r\n\r\ndata: cut off');
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(stream.length), { maxLength: 12 }), async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const pieces = at.slice(1).map((end, index) => stream.subarray(at[index], end));
      assert.deepEqual(await readIn(pieces), ['{"a":"ü"}', 'one\ntwo']);
    }),
  );
});
