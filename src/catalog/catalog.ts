/** The config database: opened, brought up to date, and one store for each noun. */
import { Kysely, type Dialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { copyStore } from './copies.ts';
import { catalogNewer, migrationFailed } from './failures.ts';
import { groupStore } from './groups.ts';
import { hostStore } from './hosts.ts';
import { hookStore } from './hooks.ts';
import { migrations } from './migrations/table.ts';
import { certificateStore, settingStore, tokenStore } from './access.ts';
import { credentialStore, hostKeyStore } from './credentials.ts';
import { auditStore } from './audit.ts';
import { attemptStore, directoryStore, roleStore, userStore, userTokenStore } from './people.ts';
import { newsStore, notificationStore } from './news.ts';
import { pointStore } from './points.ts';
import { publicationStore } from './publications.ts';
import { repositoryStore } from './repositories.ts';
import { sessionStore } from './sessions.ts';
import { setStore } from './sets.ts';
import { sqliteDialect } from './sqlite.ts';
import type { Tables } from './tables.ts';

export type Catalog = Awaited<ReturnType<typeof openCatalog>>;

export async function openCatalog(path: string) {
  return await openCatalogOn(sqliteDialect(path));
}

export async function openCatalogOn(dialect: Dialect, options: { eventsKept?: number } = {}) {
  const db = new Kysely<Tables>({ dialect });
  try {
    await migrate(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const close = async (): Promise<void> => await db.destroy();
  return {
    settings: settingStore(db),
    certificates: certificateStore(db),
    hosts: hostStore(db),
    groups: groupStore(db),
    tokens: tokenStore(db),
    users: userStore(db),
    userTokens: userTokenStore(db),
    attempts: attemptStore(db),
    roles: roleStore(db),
    directory: directoryStore(db),
    audit: auditStore(db),
    credentials: credentialStore(db),
    hostKeys: hostKeyStore(db),
    repositories: repositoryStore(db),
    sets: setStore(db),
    copies: copyStore(db),
    points: pointStore(db),
    sessions: sessionStore(db, options.eventsKept),
    publications: publicationStore(db),
    hooks: hookStore(db),
    news: newsStore(db),
    notifications: notificationStore(db),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => await Promise.resolve(migrations) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const unknown = /corrupted migrations: (?:expected|previously executed) migration ([^ ]+).*missing/.exec(error instanceof Error ? error.message : '');
  if (unknown?.[1] !== undefined) throw catalogNewer({ migration: unknown[1] }, error);
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'its present form';
  throw migrationFailed({ migration: failed, why: error instanceof Error ? error.message : String(error) }, error);
}
