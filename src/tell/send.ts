/** One message over one channel, with one deadline for all of it. */
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import type { Channel } from '../contract/notifications.ts';
import { notReached } from './failures.ts';
import { webhookAt, type Answered, type Sending } from './receiver.ts';

export const attemptMs = 30_000;

export async function sendOver(channel: Channel, sending: Omit<Sending, 'deadlineMs' | 'signal'>, signal?: AbortSignal, deadlineMs = attemptMs): Promise<Answered> {
  try {
    return await withDeadline(receiverOf(channel), deadlineMs, async (ends) => await over(channel, { ...sending, deadlineMs, signal: ends }), signal);
  } catch (error) {
    if (isFailure(error, deadlinePassed)) throw notReached({ receiver: receiverOf(channel), why: error.message }, error);
    throw error;
  }
}

/** Where it goes to, without a secret. */
export function receiverOf(channel: Channel): string {
  if (channel.kind !== 'webhook') return `${channel.kind} ${channel.host}:${channel.port}`;
  return webhookAt(new URL(channel.url));
}

/** Loaded when they are needed: a server that tells nobody has neither library in memory. */
async function over(channel: Channel, sending: Sending): Promise<Answered> {
  switch (channel.kind) {
    case 'mail':
      return await (await import('./mail.ts')).sendMail(channel, sending);
    case 'webhook':
      return await (await import('./webhook.ts')).sendWebhook(channel, sending);
    case 'syslog':
      return await (await import('./syslog.ts')).sendSyslog(channel, sending);
    case 'snmp':
      return await (await import('./snmp.ts')).sendSnmp(channel, sending);
  }
}
