/**
 * The shared dialect: PostgreSQL 15 and newer under Kysely, and the only file that knows its driver.
 *
 * A transaction is serializable and is run again when the database refuses it for another one, so what is written for the
 * one connection of SQLite is right here too (docs/design/catalog.md, "Transactions"). Nothing waits without end: a
 * connection has 5 s, a statement 30 s, a lock 10 s, and a transaction that says nothing for 5 s is ended by the database.
 * The password is read from its file at each connection, so that it can be changed, and is never part of an address.
 */
import { randomInt, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { Kysely, PostgresDialect, sql, type PostgresPool, type PostgresPoolClient, type TransactionBuilder } from 'kysely';
import pg from 'pg';
import { systemClock } from '../base/clock.ts';
import { catalogPlaceBad, catalogUnreachable, databaseNotTrusted, databaseTooOld } from './failures.ts';
import type { Tables } from './tables.ts';

export type PostgresPlace = { readonly url: string; readonly passwordFile: string | null; /** It may be changed for a newer version. */ readonly isBackedUp?: boolean };

const connectMs = 5_000;
const statementMs = 30_000;
const connections = 16;
/** Renewals of the lease have connections of their own: they wait for nothing that this server has to do besides. */
const leaseConnections = 2;
const leaseMs = 3_000;
const triesOfTransaction = 40;
const leastVersion = 15;

/** A transaction of the database that another one was in the way of. */
const refusedForAnother: ReadonlySet<string> = new Set(['40001', '40P01']);
/** Classes of SQLSTATE that say nothing of the statement: connection, operator's hand, resources. */
const saysNothing = /^(?:08|57P|53|57014|55P03|25P03)/;
/** Of the codes that Node gives what was wrong with a certificate. */
const isAboutTrust = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|^ERR_SSL|^ERR_TLS|^EPROTO/;

export type PostgresSettings = { readonly host: string; readonly port: number; readonly database: string; readonly user: string; readonly ssl: false | { readonly ca: string | undefined } };

/** Fails where the address says too little, or has a password in it: arguments are read by every user of the machine. */
export function postgresSettings(url: string): PostgresSettings {
  const shown = url.replace(/\/\/([^@/:]*):[^@/]*@/, '//$1:…@');
  const refuse = (why: string): never => {
    throw catalogPlaceBad({ place: shown, why });
  };
  if (!URL.canParse(url)) return refuse('it is not an address');
  const parsed = new URL(url);
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') return refuse('it does not begin with postgres://');
  if (parsed.password !== '') return refuse('it has a password in it; put that into a file');
  const host = decodeURIComponent(parsed.hostname).replace(/^\[|\]$/g, '');
  const database = decodeURIComponent(parsed.pathname.slice(1));
  if (host === '' || database === '' || parsed.username === '') return refuse('user, host or database is missing');
  for (const name of parsed.searchParams.keys()) if (name !== 'sslmode' && name !== 'sslrootcert') return refuse(`${name} is not known; sslmode and sslrootcert are`);
  const file = parsed.searchParams.get('sslrootcert');
  const mode = parsed.searchParams.get('sslmode') ?? (isLoopback(host) && file === null ? 'disable' : 'verify-full');
  if (mode !== 'verify-full' && mode !== 'disable') return refuse('sslmode is verify-full or disable');
  if (mode === 'disable' && !isLoopback(host)) return refuse('without TLS only a database on this machine is spoken to');
  if (mode === 'disable' && file !== null) return refuse('sslrootcert is for sslmode=verify-full');
  return { host, port: Number(parsed.port || '5432'), database, user: decodeURIComponent(parsed.username), ssl: mode === 'disable' ? false : { ca: file === null ? undefined : readAuthority(file, refuse) } };
}

function readAuthority(file: string, refuse: (why: string) => never): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return refuse(`sslrootcert ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    // Node would leave out what is none, and then trust nobody.
    new X509Certificate(text);
  } catch {
    return refuse(`sslrootcert ${file} has no certificate in it`);
  }
  return text;
}

export function databaseAt(url: string): { host: string; port: number } {
  const { host, port } = postgresSettings(url);
  return { host, port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `onAway` is called when the database does not answer, before whoever asked hears of it; not by `leases`, whose asker judges that. */
export function openPostgres(place: PostgresPlace, onAway: (why: Error) => void): { plain: Kysely<Tables>; db: Kysely<Tables>; leases: Kysely<Tables>; shown: string } {
  const { ssl, ...settings } = postgresSettings(place.url);
  const shown = `${settings.host}:${settings.port}/${settings.database}`;
  const common: pg.PoolConfig = {
    ...settings,
    ssl: ssl === false ? false : { ...(ssl.ca !== undefined && { ca: ssl.ca }), rejectUnauthorized: true, ...(isIP(settings.host) === 0 && { servername: settings.host }) },
    // The driver would go on to the environment and to files in the home directory.
    password: () => (place.passwordFile === null ? '' : readFileSync(place.passwordFile, 'utf8').replace(/\r?\n$/, '')),
    keepAlive: true,
    application_name: 'tidemark-server',
    types: { getTypeParser: ((oid: number, format: 'text') => (oid === 20 ? Number : pg.types.getTypeParser(oid, format))) as typeof pg.types.getTypeParser },
  };
  const pool = new pg.Pool({ ...common, max: connections, connectionTimeoutMillis: connectMs, query_timeout: statementMs + 5_000, statement_timeout: statementMs, lock_timeout: 10_000, idle_in_transaction_session_timeout: 5_000 });
  const leasePool = new pg.Pool({ ...common, max: leaseConnections, connectionTimeoutMillis: leaseMs, query_timeout: leaseMs, statement_timeout: leaseMs, lock_timeout: leaseMs });
  // A connection that nobody uses was closed: the next one who asks gets another.
  for (const each of [pool, leasePool]) each.on('error', () => {});
  const dialect = new PostgresDialect({ pool: watched(pool, shown, onAway) });
  const leases = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: watched(leasePool, shown, () => {}) }) });
  return { plain: new Kysely<Tables>({ dialect }), db: new SerialKysely({ dialect: new PostgresDialect({ pool: watched(pool, shown, onAway) }) }), leases, shown };
}

/** The pool, whose troubles are named; a connection that had some is not used again. */
function watched(pool: pg.Pool, shown: string, onAway: (why: Error) => void): PostgresPool {
  const away = (error: unknown): Error => {
    const why = error instanceof Error ? error.message : String(error);
    const failure = (isDistrust(error) ? databaseNotTrusted : catalogUnreachable)({ place: shown, why }, error);
    onAway(failure);
    return failure;
  };
  return {
    options: {},
    async connect() {
      let client: pg.PoolClient;
      try {
        client = await pool.connect();
      } catch (error) {
        throw away(error);
      }
      let isHurt = false;
      const onError = (): void => void (isHurt = true);
      client.on('error', onError);
      const query = async (sql: string, parameters: readonly unknown[]): Promise<unknown> => {
        try {
          return await client.query(sql, [...parameters]);
        } catch (error) {
          if (!isAway(error)) throw error;
          isHurt = true;
          throw away(error);
        }
      };
      const release = (destroy?: boolean): void => {
        client.off('error', onError);
        client.release(isHurt || destroy === true);
      };
      return { query, release } as unknown as PostgresPoolClient;
    },
    end: async () => {
      if (!pool.ending) await pool.end();
    },
  };
}

/** A certificate that proves nothing, or a database that answers a connection that is to be safe with the word that it has no TLS. */
function isDistrust(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return (typeof code === 'string' && isAboutTrust.test(code)) || message === 'The server does not support SSL connections';
}

/** Before anything is asked or made that an older one does not know. */
export async function demandVersion(db: Kysely<Tables>, place: string): Promise<void> {
  const { rows } = await sql<{ number: string; version: string }>`select current_setting('server_version_num') as number, current_setting('server_version') as version`.execute(db);
  const [{ number, version }] = rows as [(typeof rows)[number]];
  if (Number(number) < leastVersion * 10_000) throw databaseTooOld({ place, version, least: leastVersion });
}

/** What has no SQLSTATE did not come from the database: the connection broke, or nobody answered in time. */
function isAway(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || saysNothing.test(code);
}

class SerialKysely extends Kysely<Tables> {
  override transaction(): TransactionBuilder<Tables> {
    const once = super.transaction().setIsolationLevel('serializable');
    const begin = once.execute.bind(once);
    return Object.assign(once, {
      async execute<T>(work: Parameters<typeof begin<T>>[0]): Promise<T> {
        for (let tries = 1; ; tries++) {
          try {
            return await begin(work);
          } catch (error) {
            if (tries >= triesOfTransaction || !refusedForAnother.has(String((error as { code?: unknown }).code))) throw error;
            // Further apart each time, and never in step with the other one.
            await systemClock.wait(randomInt(1, 4 * Math.min(tries, 16) + 2));
          }
        }
      },
    });
  }
}
