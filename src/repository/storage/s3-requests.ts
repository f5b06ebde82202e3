/**
 * Requests to an S3-compatible store: each has a deadline, and all are repeated by one rule.
 *
 *   sent ──answered──▶ done
 *    ├── cut, silent, 5xx, slowed down ──▶ waits (50 ms, doubling up to 10 s, half of it by chance) ──▶ sent again, until patience ends
 *    └── refused ──▶ a failure in our words (s3-answers.ts)
 *
 * The library's own repetition is off: whoever puts an object that must be new has to know that an earlier request may
 * have been carried out. The library also moves its clock by the store's, and would go on by it; a store whose clock is so far
 * off that it refuses us is refused here for good, because a sweep compares its times with ours.
 */
import { randomInt } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { systemClock, type Clock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { isFailure, type Failure } from '../../base/failure.ts';
import { bucketClockApart, storageFailed } from '../failures.ts';
import { explained, isSkewed, isUnanswered, passes, secondsAhead } from './s3-answers.ts';
import { openGate } from './gate.ts';
import type { S3Location } from './location.ts';

export type RequestTimes = {
  /** How long a store may be away before a request fails. A network that is cut for five minutes costs no backup. */
  readonly patienceMs: number;
  /** The same for the first one, which tells a wrong address. */
  readonly reachMs: number;
  /** A connection on which nothing moves is given up. */
  readonly idleMs: number;
  /** One request, however slowly it goes on. */
  readonly attemptMs: number;
};

export const usualTimes: RequestTimes = { patienceMs: 6 * 60_000, reachMs: 8_000, idleMs: 60_000, attemptMs: 15 * 60_000 };

/** `mayBeDone`: an earlier request for the same was not answered, and nobody knows what became of it. */
export type Attempt = { readonly signal: AbortSignal; readonly mayBeDone: boolean };

export type Requests = {
  readonly place: string;
  readonly times: RequestTimes;
  /** Sends with `send` until it is answered. `object` is for messages. */
  ask<T>(object: string, send: (client: S3Client, attempt: Attempt) => Promise<T>, patienceMs?: number): Promise<T>;
  close(): void;
};

const mostSockets = 32;
const firstWaitMs = 50;
const longestWaitMs = 10_000;

export function openRequests(location: S3Location, secret: string, place: string, times: RequestTimes, clock: Clock = systemClock): Requests {
  const client = clientFor(location, secret, times);
  const closed = new AbortController();
  // In front of the library's own line, which would count the wait as that for a connection.
  const gate = openGate(mostSockets);
  let apart: Failure | undefined;

  return {
    place,
    times,
    async ask(object, send, patienceMs = times.patienceMs) {
      const untilMs = clock.monotonicMs() + patienceMs;
      let mayBeDone = false;
      for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
        if (apart !== undefined) throw apart;
        await gate.enter();
        try {
          const limitMs = Math.max(1, Math.min(times.attemptMs, untilMs - clock.monotonicMs()));
          const answer = await withDeadline(`an answer of ${place}`, limitMs, async (signal) => await send(client, { signal, mayBeDone }), closed.signal);
          gate.leave();
          return answer;
        } catch (error) {
          gate.leave();
          if (isSkewed(error)) throw (apart = bucketClockApart({ place, seconds: secondsAhead(error, clock.now()) }, error));
          if (isFailure(error) && closed.signal.aborted) throw error;
          const pauseMs = waitMs / 2 + randomInt(Math.ceil(waitMs / 2));
          if (!passes(error) || clock.monotonicMs() + pauseMs >= untilMs) throw explained(error, place, object);
          mayBeDone ||= isUnanswered(error);
          await clock.wait(pauseMs, closed.signal);
        }
      }
    },
    close() {
      closed.abort(storageFailed({ place, object: 'a request', why: 'the place was closed' }));
      client.destroy();
    },
  };
}

function clientFor({ endpoint, region, style, accessKeyId, caPem }: S3Location, secretAccessKey: string, { idleMs }: RequestTimes): S3Client {
  const agent = { keepAlive: true, maxSockets: mostSockets };
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: style === 'path',
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
    // A round trip before each part, for an answer that hardly ever is "no".
    expectContinueHeader: false,
    // What is sent is under the signature, with its SHA-256; what is read is proved by whoever reads it. Other stores do not know the library's own sums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000, socketTimeout: idleMs, httpAgent: agent, httpsAgent: { ...agent, ...(caPem === null ? {} : { ca: caPem }) } },
  });
}
