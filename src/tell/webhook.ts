/**
 * A webhook: the message as JSON, signed.
 *
 *   Tidemark-Signature: v1=hex( HMAC-SHA-256( secret, TIMESTAMP "." EVENT "." BODY ) )
 *
 * Both other headers are under the signature, so neither a message nor its time can be changed or used again under another id.
 * A redirect is an answer and is not followed: the secret's holder is the one at this address.
 */
import { createHmac } from 'node:crypto';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { ChannelOf } from '../contract/notifications.ts';
import { notNow, notReached, notSafe, notTrusted, refused, signInRefused } from './failures.ts';
import { isTlsProblem, oneLine, webhookAt, type Answered, type Sending } from './receiver.ts';

export function signatureOf(secret: string, timestamp: number, event: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${event}.${body}`).digest('hex')}`;
}

const answerKept = 300;

export async function sendWebhook({ url: text, secret, caPem }: ChannelOf<'webhook'>, { told, nowMs, deadlineMs, signal }: Sending): Promise<Answered> {
  const url = new URL(text);
  const receiver = webhookAt(url);
  const isTls = url.protocol === 'https:';
  const name = url.hostname.replace(/^\[|\]$/g, '');
  if (!isTls && !(name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.')))) throw notSafe({ receiver, why: 'it is not https, and not on this machine' });
  const body = JSON.stringify(told);
  const timestamp = Math.floor(nowMs / 1000);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'user-agent': 'tidemark',
    'tidemark-event': told.id,
    'tidemark-timestamp': String(timestamp),
    'tidemark-signature': signatureOf(secret, timestamp, told.id, body),
  };
  const options = { method: 'POST', headers, agent: false as const, signal, timeout: deadlineMs, ...(isTls && { minVersion: 'TLSv1.2' as const, ...(caPem !== undefined && { ca: caPem }) }) };
  const { status, location, says } = await new Promise<{ status: number; location: string | undefined; says: string }>((resolve, reject) => {
    const sent = (isTls ? tlsRequest : plainRequest)(url, options, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        answer = (answer + part).slice(0, answerKept);
      });
      const done = (): void => resolve({ status: response.statusCode ?? 0, location: response.headers.location, says: oneLine(answer) });
      response.on('end', done).on('error', done);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${deadlineMs / 1000} s`)));
    sent.on('error', reject);
    sent.end(body);
  }).catch((error: Error) => {
    const why = oneLine(error.message);
    throw isTlsProblem(error) ? notTrusted({ receiver, why }, error) : notReached({ receiver, why }, error);
  });
  const why = `${status}${says === '' ? '' : `: ${says}`}`;
  if (status >= 200 && status < 300) return { says: `${receiver} answered ${why}` };
  if (status >= 300 && status < 400) throw notNow({ receiver, why: `${status}, which leads to ${elsewhere(location, url)} and is not followed` });
  if (status === 401 || status === 403) throw signInRefused({ receiver, why });
  if (status >= 500 || [404, 408, 425, 429].includes(status)) throw notNow({ receiver, why });
  throw refused({ receiver, why });
}

function elsewhere(location: string | undefined, from: URL): string {
  const to = location === undefined ? null : URL.parse(location, from.href);
  return to === null ? 'nowhere' : webhookAt(to).replace('webhook ', '');
}
