/**
 * One command on a host: a script for /bin/sh, as the user who signed in or as root.
 *
 *   asking ──prompt──▶ answered ──▶ begun ──exit code──▶ ended
 *      │ another prompt, other words, silence: refused with what was said
 *
 * The script's first act is to print a word made for it alone to stderr. Until it comes, stderr is the talk of the
 * login shell and of sudo or su, and stdin carries at most one password; after it, stderr, stdout and stdin are the
 * script's alone. The script ends itself on the host when its deadline is over, also when the connection is gone.
 */
import type { ClientChannel } from 'ssh2';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import type { Connection } from './connect.ts';
import { commandLine, timesAsked, whyNotRoot, type Talk, type Way } from './elevation.ts';
import { connectionLost, elevationRefused, outputTooLong, shellUnusable } from './failures.ts';
import { wordsOf } from './words.ts';

export type Ran = { readonly code: number; readonly stdout: Buffer; readonly stderr: string };

export type RunOptions = {
  readonly deadlineMs: number;
  readonly stdin?: string | Uint8Array | NodeJS.ReadableStream;
  /** Most bytes of stdout, and of stderr; more is a failure. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
};

export type Place = { readonly host: string; readonly user: string; readonly connection: Connection; readonly beginMs: number };

export async function runScript(place: Place, way: Way, what: string, script: string, options: RunOptions): Promise<Ran> {
  const { host } = place;
  const word = randomId();
  const line = commandLine(way, framed(script, `${word}+`, options.deadlineMs), `${word}-`);
  let channel: ClientChannel | undefined;
  try {
    return await withDeadline(
      `${what} on ${host}`,
      options.deadlineMs,
      async (signal) =>
        await onChannel(place, what, line, async (opened) => {
          channel = opened;
          if (!signal.aborted) return await converse(place, way, what, opened, word, options);
          opened.close();
          throw signal.reason as Error;
        }),
      options.signal,
    );
  } catch (error) {
    channel?.close();
    if (isFailure(error) || options.signal?.aborted === true) throw error;
    throw connectionLost({ host, what, why: wordsOf((error as Error).message, place.connection.secrets) }, error);
  }
}

function framed(script: string, word: string, deadlineMs: number): string {
  const quoted = `'${script.replaceAll("'", `'\\''`)}'`;
  const seconds = Math.ceil(deadlineMs / 1000) + 2;
  return [
    `printf %s ${word} >&2`,
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL; umask 022; cd /',
    `t=; command -v timeout >/dev/null 2>&1 && t='timeout -k 5 ${seconds}'`,
    `exec $t /bin/sh -c ${quoted}`,
  ].join('\n');
}

/** `use` listens before the next packet is read: a quick command's exit code may be in the one that opens the channel. */
async function onChannel<T>({ connection: { client }, host }: Place, what: string, line: string, use: (channel: ClientChannel) => Promise<T>): Promise<T> {
  return await new Promise((resolve, reject) => {
    const lost = (): void => reject(connectionLost({ host, what, why: 'it was closed' }));
    client.once('close', lost);
    client.exec(line, (error, channel) => {
      client.off('close', lost);
      if (error === undefined) resolve(use(channel));
      else reject(error);
    });
  });
}

async function converse(place: Place, way: Way, what: string, channel: ClientChannel, word: string, options: RunOptions): Promise<Ran> {
  const { host, connection } = place;
  const { maxBytes = 1 << 20 } = options;
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const count = { out: 0, err: 0 };
  let talk = { text: '', asked: 0, isAnswered: false };
  let hasBegun = false;
  let isOver = false;
  return await new Promise<Ran>((resolve, reject) => {
    const refuse = (): void => end(refusalOf(place, way, talk, word));
    const silence = setTimeout(refuse, place.beginMs);
    const end = (result: Error | Ran): void => {
      isOver = true;
      clearTimeout(silence);
      if (result instanceof Error) {
        channel.close();
        reject(result);
      } else resolve(result);
    };
    const begin = (rest: Buffer): void => {
      hasBegun = true;
      clearTimeout(silence);
      if (rest.length > 0) keep(rest);
      feed(channel, options.stdin, end);
    };
    const keep = (bytes: Buffer): void => {
      if (isOver) return;
      err.push(bytes);
      if ((count.err += bytes.length) > maxBytes) end(outputTooLong({ host, what, bytes: maxBytes }));
    };
    channel.stderr.on('data', (bytes: Buffer) => {
      if (hasBegun) return keep(bytes);
      const text = talk.text + bytes.toString('latin1');
      const at = text.indexOf(`${word}+`);
      talk = { ...talk, text: (at < 0 ? text : text.slice(0, at)).slice(-16_384) };
      if (at >= 0) return begin(Buffer.from(text.slice(at + word.length + 1), 'latin1'));
      const asked = timesAsked(way, talk.text, `${word}-`);
      if (asked <= talk.asked) return;
      talk.asked = asked;
      if (talk.isAnswered || way.kind === 'plain' || way.password === undefined) return refuse();
      talk.isAnswered = true;
      channel.write(`${way.password}\n`);
    });
    channel.on('data', (bytes: Buffer) => {
      if (isOver) return;
      out.push(bytes);
      if ((count.out += bytes.length) > maxBytes) end(outputTooLong({ host, what, bytes: maxBytes }));
    });
    let code: number | undefined;
    channel.on('exit', (status: number | null, signalName?: string) => {
      code = status ?? 128;
      if (signalName !== undefined) err.push(Buffer.from(`ended by ${signalName}\n`));
    });
    channel.on('error', (error: Error) => end(error));
    channel.on('close', () => {
      const text = hasBegun ? '' : `${talk.text} ${way.kind === 'plain' ? Buffer.concat(out).toString('latin1', 0, 500) : ''}`;
      // A host that turns an account away says so and gives no exit code; one that says nothing is gone.
      if (code === undefined && text.trim() === '') return end(connectionLost({ host, what, why: 'it closed before the command had ended' }));
      if (!hasBegun || code === undefined) return end(refusalOf(place, way, { ...talk, text }, word));
      end({ code, stdout: Buffer.concat(out), stderr: wordsKept(Buffer.concat(err).toString('utf8'), connection.secrets) });
    });
  });
}

/** stdin goes in only now: before, it would have been taken for a password. A script may end without reading it. */
function feed(channel: ClientChannel, stdin: RunOptions['stdin'], end: (error: Error) => void): void {
  channel.on('error', () => {});
  if (stdin === undefined || typeof stdin === 'string' || stdin instanceof Uint8Array) return void channel.end(stdin ?? '');
  stdin.on('error', end);
  stdin.pipe(channel);
}

function refusalOf({ host, user, connection }: Place, way: Way, talk: Talk, word: string): Error {
  if (way.kind === 'plain') {
    const said = wordsOf(talk.text, connection.secrets);
    return shellUnusable({ host, user, why: said === '' ? 'it ended without a word' : `it said: ${said}` });
  }
  return elevationRefused({ host, user, way: way.kind, why: whyNotRoot(talk, `${word}-`, connection.secrets) });
}

function wordsKept(text: string, secrets: readonly string[]): string {
  return secrets.reduce((words, secret) => (secret === '' ? words : words.replaceAll(secret, '***')), text);
}
