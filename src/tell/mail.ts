/** Mail over SMTP. What the server answered is told in its own words; its code decides whether it is worth another try. */
import { createTransport } from 'nodemailer';
import type { ChannelOf } from '../contract/notifications.ts';
import { notNow, notReached, notTrusted, refused, signInRefused } from './failures.ts';
import { htmlOf } from './mail-html.ts';
import { isTlsProblem, oneLine, type Answered, type Sending } from './receiver.ts';

type SmtpError = Error & { code?: string; responseCode?: number; response?: string; command?: string };

export async function sendMail(channel: ChannelOf<'mail'>, { told, subject, html, deadlineMs, signal }: Sending): Promise<Answered> {
  const { host, port, security, signIn, from, to } = channel;
  const receiver = `mail server ${host}:${port}`;
  const transport = createTransport({
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(signIn !== undefined && { auth: { user: signIn.user, pass: signIn.password } }),
    tls: { minVersion: 'TLSv1.2', ...(channel.caPem !== undefined && { ca: channel.caPem }) },
    connectionTimeout: deadlineMs,
    greetingTimeout: deadlineMs,
    socketTimeout: deadlineMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const end = (): void => transport.close();
  signal.addEventListener('abort', end, { once: true });
  try {
    const { response, rejected } = await transport.sendMail({
      from,
      to,
      subject: oneLine(subject),
      text: `${[told.title, '', ...told.lines, '', told.server, ...(told.session === null ? [] : [`session ${told.session.id}`])].join('\n')}\n`,
      html: html ?? htmlOf(told),
      messageId: `<${told.id}@tidemark>`,
      date: new Date(told.atMs),
      // Nobody's holiday is told back to the server.
      headers: { 'auto-submitted': 'auto-generated', 'x-tidemark-event': told.id },
    });
    return { says: `${receiver} answered ${oneLine(response)}${rejected.length === 0 ? '' : `; it refused ${rejected.join(', ')}`}` };
  } catch (error) {
    throw failureOf(error as SmtpError, receiver);
  } finally {
    signal.removeEventListener('abort', end);
    transport.close();
  }
}

function failureOf(error: SmtpError, receiver: string): Error {
  const { responseCode } = error;
  const why = oneLine(error.response ?? error.message);
  if (error.code === 'EAUTH') return signInRefused({ receiver, why }, error);
  if (isTlsProblem(error) || /certificate|altnames/i.test(error.message)) return notTrusted({ receiver, why }, error);
  if (responseCode !== undefined && responseCode >= 500 && /^(MAIL FROM|RCPT TO|DATA)$/.test(error.command ?? '')) return refused({ receiver, why }, error);
  return responseCode === undefined ? notReached({ receiver, why }, error) : notNow({ receiver, why }, error);
}
