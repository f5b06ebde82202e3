/** The config database: opened, brought up to date, and one store for each noun. */
import { Kysely, type Dialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { isFailure } from '../base/failure.ts';
import { copyBeforeUpgrade, demandBackup } from './before-upgrade.ts';
import { copyStore } from './copies.ts';
import { catalogNewer, migrationFailed } from './failures.ts';
import { groupStore } from './groups.ts';
import { historyStore } from './history.ts';
import { hostAlarmStore } from './host-alarms.ts';
import { hostStore } from './hosts.ts';
import { hookStore } from './hooks.ts';
import { migrations } from './migrations/table.ts';
import { certificateStore, settingStore, tokenStore } from './access.ts';
import { credentialStore, hostKeyStore } from './credentials.ts';
import { auditStore } from './audit.ts';
import { attemptStore, directoryStore, roleStore, userStore, userTokenStore } from './people.ts';
import { newsStore, notificationStore } from './news.ts';
import { policyStore } from './policies.ts';
import { pointStore } from './points.ts';
import { publicationStore } from './publications.ts';
import { demandVersion, openPostgres, type PostgresPlace } from './postgres.ts';
import { repositoryStore } from './repositories.ts';
import { sessionStore } from './sessions.ts';
import { setStore } from './sets.ts';
import { serverStore, type CatalogKind, type Fence } from './servers.ts';
import { snapshotStore } from './snapshot.ts';
import { sqliteDialect } from './sqlite.ts';
import { sweepStore } from './sweeps.ts';
import type { Tables } from './tables.ts';
import { rereadStore, verificationStore } from './verifications.ts';
import { countedByPostgres, countOwnWrites, type CountWrites } from './writes.ts';

export type Catalog = Awaited<ReturnType<typeof openCatalog>>;

/** An embedded one for one server, or one that several share. */
export type CatalogPlace = { readonly kind: 'sqlite'; readonly path: string } | ({ readonly kind: 'postgres' } & PostgresPlace);

export type CatalogOptions = { readonly eventsKept?: number; readonly newestKept?: number };

export async function openCatalog(path: string) {
  return await openCatalogAt({ kind: 'sqlite', path });
}

export async function openCatalogAt(place: CatalogPlace, options: CatalogOptions = {}) {
  if (place.kind === 'sqlite') {
    copyBeforeUpgrade(place.path);
    return await openCatalogOn(sqliteDialect(place.path), options);
  }
  const listeners = new Set<(why: Error) => void>();
  const { plain, db, leases, shown } = openPostgres(place, (why) => listeners.forEach((tell) => tell(why)));
  return await opened({ kind: 'postgres', plain, db, leases, listeners, writes: countedByPostgres(plain) }, options, async () => {
    await demandVersion(plain, shown);
    await demandBackup(plain, shown, place.isBackedUp === true);
  });
}

export async function openCatalogOn(dialect: Dialect, options: CatalogOptions = {}) {
  const { plugin, count } = countOwnWrites();
  const db = new Kysely<Tables>({ dialect, plugins: [plugin] });
  return await opened({ kind: 'sqlite', plain: db, db, leases: db, listeners: new Set(), writes: count }, options);
}

/** `plain` is for what must see what others did while it waited for its lock: the migrations. */
async function opened({ kind, plain, db, leases, listeners, writes }: { kind: CatalogKind; plain: Kysely<Tables>; db: Kysely<Tables>; leases: Kysely<Tables>; listeners: Set<(why: Error) => void>; writes: CountWrites }, options: CatalogOptions, before?: () => Promise<void>) {
  const close = async (): Promise<void> => {
    for (const each of new Set([db, plain, leases])) await each.destroy();
  };
  try {
    await before?.();
    await migrate(plain);
  } catch (error) {
    await close();
    throw error;
  }
  const fence: Fence = { kind, own: { id: null, name: '' }, onReplaced: (why) => listeners.forEach((tell) => tell(why)) };
  return {
    kind,
    servers: serverStore(db, fence, leases),
    /** Called when the database does not answer, or this server was replaced, before whoever asked hears of it. */
    onAway: (listener: (why: Error) => void): void => void listeners.add(listener),
    settings: settingStore(db),
    certificates: certificateStore(db),
    hosts: hostStore(db),
    hostAlarms: hostAlarmStore(db),
    groups: groupStore(db),
    tokens: tokenStore(db),
    users: userStore(db),
    userTokens: userTokenStore(db),
    attempts: attemptStore(db),
    roles: roleStore(db),
    directory: directoryStore(db),
    audit: auditStore(db, kind === 'postgres'),
    credentials: credentialStore(db),
    hostKeys: hostKeyStore(db),
    repositories: repositoryStore(db),
    snapshots: snapshotStore(plain, writes),
    sets: setStore(db),
    copies: copyStore(db),
    policies: policyStore(db),
    points: pointStore(db),
    sessions: sessionStore(db, fence, options.eventsKept),
    history: historyStore(db, fence, options.newestKept),
    publications: publicationStore(db),
    hooks: hookStore(db),
    verifications: verificationStore(db),
    rereads: rereadStore(db),
    sweeps: sweepStore(db),
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
  if (isFailure(error)) throw error;
  const unknown = /corrupted migrations: (?:expected|previously executed) migration ([^ ]+).*missing/.exec(error instanceof Error ? error.message : '');
  if (unknown?.[1] !== undefined) throw catalogNewer({ migration: unknown[1] }, error);
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'its present form';
  throw migrationFailed({ migration: failed, why: error instanceof Error ? error.message : String(error) }, error);
}
