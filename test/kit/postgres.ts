/** A real PostgreSQL on loopback, in memory where there is any, run as its own user when this is root. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';
import { openCatalogAt, type Catalog, type CatalogPlace } from '../../src/catalog/catalog.ts';
import { freePort } from './free-port.ts';
import { scratch } from './scratch.ts';

const programs = globSync('/usr/lib/postgresql/*/bin').sort().at(-1);

/** false, or why there can be no PostgreSQL here. */
export function whyNoPostgres(): string | false {
  if (programs === undefined) return 'there is no PostgreSQL on this machine';
  return process.getuid?.() === 0 && idsOf('postgres') === undefined ? 'there is no user postgres on this machine' : false;
}

export const databasePassword = "pä ss'word\\1";

export type Postgres = AsyncDisposable & {
  readonly port: number;
  readonly folder: string;
  readonly passwordFile: string;
  /** A new database and where it is. */
  create(name: string): Extract<CatalogPlace, { kind: 'postgres' }>;
  /** One statement, as the owner of the cluster; answers rows as text, columns parted by |. */
  sql(statement: string, database?: string): string;
  stop(how?: 'fast' | 'immediate'): void;
  start(): void;
};

export function openPostgresCluster(port: number, more: readonly string[] = []): Postgres {
  const folder = mkdtempSync(join(scratch, 'tm-pg-'));
  const ids = process.getuid?.() === 0 ? idsOf('postgres') : undefined;
  if (ids !== undefined) chownSync(folder, ...ids);
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${databasePassword}\n`, { mode: 0o600 });
  if (ids !== undefined) chownSync(passwordFile, ...ids);
  const data = join(folder, 'data');
  const run = (program: string, args: readonly string[], input?: string): string => {
    const words = [join(programs!, program), ...args];
    const whole = ids === undefined ? words : ['setpriv', `--reuid=${ids[0]}`, `--regid=${ids[1]}`, '--clear-groups', ...words];
    const { status, stdout, stderr } = spawnSync(whole[0]!, whole.slice(1), { cwd: folder, encoding: 'utf8', timeout: 60_000, env: { ...process.env, PGPASSWORD: databasePassword, LC_ALL: 'C.UTF-8' }, ...(input !== undefined && { input }), ...(program === 'pg_ctl' && { stdio: 'ignore' as const }) });
    if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr ?? ''}`);
    return (stdout ?? '').trim();
  };
  run('initdb', ['-D', data, '-U', 'tide', '-E', 'UTF8', '--locale', 'C.UTF-8', '--auth', 'scram-sha-256', '--pwfile', passwordFile, '--no-sync']);
  appendFileSync(join(data, 'postgresql.conf'), [`port = ${port}`, "listen_addresses = '127.0.0.1'", `unix_socket_directories = '${folder}'`, 'max_connections = 120', 'shared_buffers = 64MB', ...more, ''].join('\n'));
  const postgres: Postgres = {
    port,
    folder,
    passwordFile,
    create(name) {
      postgres.sql(`create database ${name}`);
      return { kind: 'postgres', url: `postgres://tide@127.0.0.1:${port}/${name}`, passwordFile };
    },
    sql: (statement, database = 'postgres') => run('psql', ['-h', '127.0.0.1', '-p', String(port), '-U', 'tide', '-d', database, '-AtqX', '-v', 'ON_ERROR_STOP=1', '-f', '-'], statement),
    stop: (how = 'fast') => void run('pg_ctl', ['-D', data, '-m', how, '-w', 'stop']),
    start: () => void run('pg_ctl', ['-D', data, '-w', '-l', join(folder, 'log'), 'start']),
    [Symbol.asyncDispose]: async () => {
      try {
        postgres.stop('immediate');
      } catch {
        // It is stopped already.
      }
      rmSync(folder, { recursive: true, force: true });
      await Promise.resolve();
    },
  };
  postgres.start();
  return postgres;
}

export async function openPostgres(more: readonly string[] = []): Promise<Postgres> {
  return openPostgresCluster(await freePort(), more);
}

/** Opens it as soon as the database answers. */
export async function openCatalogSoon(place: CatalogPlace): Promise<Catalog> {
  return await until('the catalog', 30_000, async () => await openCatalogAt(place).catch(() => undefined), { everyMs: 100 });
}

function idsOf(user: string): [number, number] | undefined {
  const { status, stdout } = spawnSync('getent', ['passwd', user], { encoding: 'utf8' });
  const [, , uid, gid] = stdout.split(':');
  return status === 0 ? [Number(uid), Number(gid)] : undefined;
}
