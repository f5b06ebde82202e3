import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { Connection } from './connect.ts';
import { runScript } from './command.ts';

/** A host so quick that the packet which opens the channel holds the whole command, up to its exit code. */
function quickHost(code: number): Connection['client'] {
  const exec = (line: string, opened: (error: Error | undefined, channel: unknown) => void): void => {
    const script = Buffer.from(/echo (\S+) \|/.exec(line)![1]!, 'base64').toString('utf8');
    const word = /printf %s (\w+\+)/.exec(script)![1]!;
    const channel = Object.assign(new EventEmitter(), { stderr: new EventEmitter(), end: () => {}, close: () => {}, write: () => {} });
    opened(undefined, channel);
    channel.stderr.emit('data', Buffer.from(word));
    channel.emit('data', Buffer.from('hello'));
    channel.emit('exit', code);
    channel.emit('close');
  };
  return Object.assign(new EventEmitter(), { exec }) as unknown as Connection['client'];
}

test('a command that has ended before anybody could look is heard to its exit code', async () => {
  const connection: Connection = { client: quickHost(7), hostKey: { type: 'ssh-ed25519', fingerprint: 'SHA256:x' }, secrets: [] };
  const ran = await runScript({ host: 'db1', user: 'root', connection, beginMs: 1_000 }, { kind: 'plain' }, 'a quick command', 'echo hello', { deadlineMs: 1_000 });
  assert.deepEqual([ran.code, ran.stdout.toString()], [7, 'hello']);
});
