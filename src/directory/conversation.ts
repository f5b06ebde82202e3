/** A conversation with one server: binds and searches over a checked line, failures said in our words. */
import type { Socket } from 'node:net';
import { Client, ResultCodeError, type Entry, type Filter } from 'ldapts';
import { isFailure } from '../base/failure.ts';
import { bindRefused, searchRefused } from './failures.ts';
import { nameOf, openLine, type LineOptions, type LineStep } from './line.ts';
import { refusalOf, type Refusal } from './refusal.ts';

export type Search = {
  /** For the failure: `users`. */
  readonly what: string;
  readonly scope: 'base' | 'sub';
  readonly filter: Filter;
  readonly attributes: readonly string[];
  /** Read as bytes. */
  readonly binary?: readonly string[];
  /** At most so many; more are left out. */
  readonly limit: number;
};

export type Conversation = AsyncDisposable & {
  readonly server: string;
  /** Binds with the account that looks things up. */
  bind(user: string, password: string): Promise<void>;
  /** Undefined: the password is right. */
  prove(dn: string, password: string): Promise<Refusal | undefined>;
  search(base: string, search: Search): Promise<Entry[]>;
};

const answerMs = 10_000;
const pageSize = 500;

export async function openConversation(options: LineOptions, passed?: (step: LineStep) => void): Promise<Conversation> {
  const line = await openLine(options, passed);
  const server = nameOf(options.server);
  let isUsed = false;
  const client = new Client({
    url: 'ldap://directory',
    timeout: answerMs,
    strictDN: false,
    createConnection: (() => {
      // Once: what is opened again behind our back would be in the clear.
      if (isUsed) throw line.fault ?? new Error('the connection is over');
      isUsed = true;
      return line as unknown as Socket;
    }) as never,
  });
  const stop = (): void => void line.destroy();
  options.signal.addEventListener('abort', stop, { once: true });

  /** What ended the line says more than what the question waited for. */
  async function asked<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw line.fault ?? error;
    }
  }

  return {
    server,
    async bind(user, password) {
      try {
        await asked(async () => await client.bind(user, password));
      } catch (error) {
        if (error instanceof ResultCodeError) throw bindRefused({ server, user, why: refusalOf(error).says }, error);
        throw error;
      }
    },
    async prove(dn, password) {
      try {
        await asked(async () => await client.bind(dn, password));
        return undefined;
      } catch (error) {
        if (error instanceof ResultCodeError) return refusalOf(error).kind;
        throw error;
      }
    },
    async search(base, { what, scope, filter, attributes, binary = [], limit }) {
      const found: Entry[] = [];
      try {
        await asked(async () => {
          const pages = client.searchPaginated(base, { scope, filter, attributes: [...attributes], explicitBufferAttributes: [...binary], derefAliases: 'never', timeLimit: answerMs / 1000, paged: { pageSize: Math.min(pageSize, limit) } });
          for await (const { searchEntries } of pages) {
            found.push(...searchEntries);
            if (found.length >= limit) return;
          }
        });
      } catch (error) {
        // The base of a search that is not there holds nothing; the base of the directory is tried by its test.
        if (error instanceof ResultCodeError && error.code === 32 && scope === 'base') return [];
        if (error instanceof ResultCodeError) throw searchRefused({ server, what, why: error.code === 10 ? 'it refers to another server, and referrals are not followed' : sayingOf(error) }, error);
        throw error;
      }
      return found.slice(0, limit);
    },
    async [Symbol.asyncDispose]() {
      options.signal.removeEventListener('abort', stop);
      await client.unbind().catch((error: unknown) => {
        // It has ended by itself, or by a failure that was told already.
        if (isFailure(error)) return;
      });
      line.destroy();
    },
  };
}

export function sayingOf(error: ResultCodeError): string {
  return error.message.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 300);
}

/** Text of an attribute; servers write its name in letters of their choice. */
export function valuesOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((name) => name.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key]!;
  return (Array.isArray(value) ? value : [value]).map((one) => (typeof one === 'string' ? one : one.toString('utf8')));
}

export function bytesOf(entry: Entry, attribute: string): Buffer | undefined {
  const value = entry[attribute];
  const first = Array.isArray(value) ? value[0] : value;
  return Buffer.isBuffer(first) ? first : undefined;
}
