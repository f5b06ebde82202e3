/** What a store's answer, or the lack of one, means: something that passes, or a failure in our words. */
import { isFailure, type Failure } from '../../base/failure.ts';
import { deadlinePassed } from '../../base/failures.ts';
import { bucketDenied, bucketKeyWrong, bucketMissing, bucketNotReached, bucketRefused, bucketTlsRefused, bucketUnfit, objectMissing, storageFull } from '../failures.ts';

/** A body that ended early, or stood still. */
export class BodyCut extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'BodyCut';
  }
}

const cut = new Set(['ECONNRESET', 'ECONNREFUSED', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN', 'EAI_AGAIN', 'ENOTFOUND']);
const busy = new Set(['SlowDown', 'ServiceUnavailable', 'InternalError', 'RequestTimeout', 'RequestTimeoutException', 'Throttling', 'ThrottlingException', 'RequestLimitExceeded', 'TooManyRequests', 'ConditionalRequestConflict', 'OperationAborted']);
const silent = new Set(['TimeoutError', 'AbortError', 'BodyCut']);
const full = new Set(['QuotaExceeded', 'InsufficientStorage', 'InsufficientCapacity', 'XMinioStorageFull']);
const skewed = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const tls = /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|EPROTO$)/;

/** Under this name an object carries the word of who wrote it. */
export const wordKey = 'tidemark-word';

type Answered = Error & { code?: unknown; $metadata?: { httpStatusCode?: number }; $response?: { headers?: Record<string, string> } };

export function statusOf(error: unknown): number | undefined {
  return (error as Answered | undefined)?.$metadata?.httpStatusCode;
}

export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function codeOf(error: unknown): string {
  const code = (error as Answered | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

export const isSkewed = (error: unknown): boolean => skewed.has(nameOf(error));

/** How far the store's clock is ahead of ours, by the answer's own date. */
export function secondsAhead(error: unknown, nowMs: number): number {
  const date = Date.parse((error as Answered).$response?.headers?.['date'] ?? '');
  return Number.isNaN(date) ? 0 : Math.round((date - nowMs) / 1000);
}

/** Whether the same request may be answered if it is sent again. */
export function passes(error: unknown): boolean {
  if (isFailure(error)) return error.code === deadlinePassed.code;
  if (full.has(nameOf(error)) || tls.test(codeOf(error))) return false;
  const status = statusOf(error);
  if (status !== undefined && status !== 200) return busy.has(nameOf(error)) || status === 429 || (status >= 500 && status !== 501 && status !== 507);
  return cut.has(codeOf(error)) || silent.has(nameOf(error)) || busy.has(nameOf(error)) || /socket hang up|aborted|premature/i.test(String((error as Error).message));
}

/** Whether nobody knows if the store has done what was asked. */
export function isUnanswered(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 200 || status >= 500;
}

export function explained(error: unknown, place: string, object: string): Failure {
  if (isFailure(error)) return error.code === deadlinePassed.code ? bucketNotReached({ place, why: error.message }, error) : error;
  const [name, code, status] = [nameOf(error), codeOf(error), statusOf(error)];
  const says = error instanceof Error ? error.message : String(error);
  if (tls.test(code)) return bucketTlsRefused({ place, why: `${code}, ${says}` }, error);
  if (status === undefined) return cut.has(code) || silent.has(name) || passes(error) ? bucketNotReached({ place, why: reachText(code, says) }, error) : bucketRefused({ place, object, why: says }, error);
  if (full.has(name) || status === 507) return storageFull({ place, object }, error);
  return refused({ name, status, says }, place, object, error);
}

function reachText(code: string, says: string): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `its name is not resolved (${code})`;
  if (code === 'ECONNREFUSED') return 'nothing listens there (ECONNREFUSED)';
  return says === '' ? code : says;
}

const wrongKey: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the access key is not known there',
  SignatureDoesNotMatch: 'the secret access key does not fit the access key',
  AuthorizationHeaderMalformed: 'requests are signed for another region',
  InvalidToken: 'the access key is not known there',
  PermanentRedirect: 'the bucket is in another region',
};

function refused({ name, status, says }: { name: string; status: number; says: string }, place: string, object: string, cause: unknown): Failure {
  // Of the key that it is to encrypt with radosgw says the same name as of the one that requests are signed with; AWS has names of its own.
  if (name.startsWith('KMS.') || (name in wrongKey && /\bkms\b/i.test(says))) return bucketUnfit({ place, what: `its key service does not give the key to encrypt with (${says})` }, cause);
  const what = wrongKey[name];
  if (what !== undefined) return bucketKeyWrong({ place, what }, cause);
  if (name === 'NoSuchBucket') return bucketMissing({ place }, cause);
  if (name === 'NoSuchKey' || name === 'NotFound') return objectMissing({ object, place }, cause);
  if (status === 403) return bucketDenied({ place, object }, cause);
  if (name === 'NotImplemented' || status === 501) return bucketUnfit({ place, what: `it does not do what was asked for ${object} (${status})` }, cause);
  return bucketRefused({ place, object, why: `${status} ${name}${says === '' || says === name ? '' : `, ${says}`}` }, cause);
}
