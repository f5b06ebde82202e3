import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { isFailure } from '../base/failure.ts';
import { readMapped } from './endpoint-mapper.ts';
import { Malformed, NdrReader, NdrWriter } from './ndr.ts';
import { fragmentLength, kind, readFragment, writeFragment } from './pdu.ts';
import { openRpc } from './rpc.ts';

let server: Server;
/** Each question is answered with the next of these. */
let answers: Buffer[] = [];
before(async () => {
  server = createServer((socket) => {
    let at = 0;
    socket.on('error', () => {});
    socket.on('data', () => (at < answers.length ? socket.write(answers[at++]!) : socket.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => server.close());

const to = { uuid: 'e1af8308-5d1f-11c9-91a4-08002b14a0fa', major: 3, minor: 0 };
const taken = new NdrWriter().u16(4280).u16(4280).u32(1).u16(0).u16(0).raw(Buffer.from([1, 0, 0, 0])).u16(0).u16(0).raw(Buffer.alloc(20)).done();
const bindAck = writeFragment(kind.bindAck, 1, taken);
const tower = Buffer.from('020001000702008723010009040001020304', 'hex');
const mapped = new NdrWriter().handle(Buffer.alloc(20)).u32(1).u32(8).u32(0).u32(1).u32(3).u32(tower.length).u32(tower.length).raw(tower).u32(0).done();
const response = (stub: Buffer, call = 2): Buffer => writeFragment(kind.response, call, Buffer.concat([Buffer.alloc(8), stub]));

async function ask(): Promise<unknown> {
  using rpc = await openRpc({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, to, deadlineMs: 2_000 });
  return await rpc.call('a question', 3, Buffer.alloc(4), readMapped);
}

test('a port is read out of the tower of an answer', async () => {
  answers = [bindAck, response(mapped)];
  assert.deepEqual(await ask(), { kind: 'port', port: 34_595 });
});

const broken: readonly (readonly [string, () => Buffer[]])[] = [
  ['no RPC', () => [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
  ['a fragment that is longer than was offered', () => [Buffer.concat([bindAck.subarray(0, 8), Buffer.from([0xff, 0xff]), bindAck.subarray(10)])]],
  ['a proof that is longer than its fragment', () => [Buffer.concat([bindAck.subarray(0, 10), Buffer.from([0xff, 0xff]), bindAck.subarray(12)])]],
  ['an interface that was not taken', () => [writeFragment(kind.bindAck, 1, Buffer.concat([taken.subarray(0, 16), Buffer.from([2, 0, 1, 0]), taken.subarray(20)]))]],
  ['an answer to another call', () => [bindAck, response(mapped, 9)]],
  ['a number of towers without an end', () => [bindAck, response(Buffer.concat([mapped.subarray(0, 20), Buffer.from('ffffffff', 'hex'), mapped.subarray(24)]))]],
  ['an answer that is cut off', () => [bindAck, response(mapped.subarray(0, 50))]],
  ['nothing', () => []],
];
for (const [what, made] of broken) {
  test(`${what} is refused and not waited for`, async () => {
    answers = made();
    await assert.rejects(ask(), (error) => isFailure(error, { code: 'windows.answer-unusable' }) || isFailure(error, { code: 'windows.port-not-reached' }));
  });
}

test('no bytes whatever make the reading of an answer run over them or throw anything but its refusal', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
  const sound = fc.constantFrom(bindAck, response(mapped));
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }).map((given) => Buffer.from(given)), fc.tuple(sound, flips).map(([given, changes]) => {
    const copy = Buffer.from(given);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return copy;
  }));
  fc.assert(
    fc.property(bytes, (given) => {
      try {
        const length = fragmentLength(given);
        if (length === undefined || length > given.length) return;
        const { body } = readFragment(given.subarray(0, length));
        readMapped(new NdrReader(body.subarray(8)));
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
});
