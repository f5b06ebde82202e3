/** A channel, opened for one message: what its other end is called, how long it may take, and what became of it. */
import type { Told } from '../contract/notifications.ts';

export type Sending = {
  readonly told: Told;
  /** One line, from the rule's template; for channels that have subjects. */
  readonly subject: string;
  /** A whole page in place of the plain one: of reports. */
  readonly html: string | null;
  /** Of this server, for SNMPv3: hex. */
  readonly engineId: string;
  readonly nowMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
};

/** What the receiver said, as a sentence. Everything else is thrown. */
export type Answered = { readonly says: string };

/** Control characters of any alphabet, line ends among them: none of them reaches a subject, a log line or a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

export function isTlsProblem(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|^ERR_SSL|^ERR_TLS|^EPROTO|^ETLS/.test(code);
}

/** A webhook by its server alone: for many receivers the path is what lets a sender in. */
export function webhookAt({ origin, pathname, search }: URL): string {
  return `webhook ${origin}${pathname === '/' && search === '' ? '' : '/…'}`;
}
