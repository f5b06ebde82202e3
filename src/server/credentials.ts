/**
 * Credentials: sealed where they are kept, opened at the last moment, and never answered.
 *
 * A single-use credential is not kept at all. It lives in this process until it is taken, or for ten minutes; what is
 * written down, such as the wish of a session, holds only its ticket. After a restart a ticket opens nothing.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { CredentialRow } from '../catalog/credentials.ts';
import type { Clock } from '../base/clock.ts';
import { randomId, sortableId } from '../base/ids.ts';
import { credentialRecord, type CredentialRecord, type HostCredential, type WindowsCredential } from '../contract/credentials.ts';
import type { Credential } from '../contract/routes/credentials.ts';
import { credentialExists, credentialGone, credentialOther, credentialUnknown } from './failures.ts';
import type { Sealer } from './sealing.ts';

export type Credentials = ReturnType<typeof openCredentials>;

const ticketMs = 600_000;

export function openCredentials(options: { catalog: Catalog; sealer: Sealer; clock: Clock }) {
  const { catalog, sealer, clock } = options;
  const once = new Map<string, { credential: HostCredential; endsMs: number }>();
  const placeOf = (id: string): string => `credentials.record:${id}`;

  async function find(nameOrId: string): Promise<CredentialRow> {
    const row = await catalog.credentials.find(nameOrId);
    if (row === undefined) throw credentialUnknown({ credential: nameOrId });
    return row;
  }

  async function open<K extends CredentialRecord['kind']>(nameOrId: string, kind: K): Promise<Extract<CredentialRecord, { kind: K }>> {
    const row = await find(nameOrId);
    if (row.kind !== kind) throw credentialOther({ credential: row.name, kind: row.kind, wanted: kind });
    return credentialRecord.parse(JSON.parse(sealer.open(row.sealed_record, placeOf(row.id)))) as Extract<CredentialRecord, { kind: K }>;
  }

  return {
    find,
    view: (row: CredentialRow): Credential => ({ ...(JSON.parse(row.about) as About), id: row.id, name: row.name, addedAtMs: row.added_ms }),
    list: async (): Promise<CredentialRow[]> => await catalog.credentials.list(),

    async add(name: string, record: CredentialRecord): Promise<CredentialRow> {
      const id = sortableId(clock);
      const row = { id, name, kind: record.kind, about: JSON.stringify(aboutOf(record)), sealed_record: sealer.seal(JSON.stringify(record), placeOf(id)), added_ms: clock.now() };
      if (!(await catalog.credentials.add(row))) throw credentialExists({ name });
      return row;
    },

    remove: async (row: CredentialRow): Promise<void> => await catalog.credentials.remove(row.id),
    host: async (nameOrId: string): Promise<HostCredential> => (await open(nameOrId, 'host')).host,
    windows: async (nameOrId: string): Promise<WindowsCredential> => (await open(nameOrId, 'windows')).windows,
    database: async (nameOrId: string): Promise<Omit<Extract<CredentialRecord, { kind: 'database' }>, 'kind'>> => {
      const { credential, tls } = await open(nameOrId, 'database');
      return { credential, tls };
    },

    /** A ticket for a credential that is not to be kept. */
    keepOnce(credential: HostCredential): string {
      const nowMs = clock.monotonicMs();
      for (const [ticket, { endsMs }] of once) if (endsMs <= nowMs) once.delete(ticket);
      const ticket = randomId();
      once.set(ticket, { credential, endsMs: nowMs + ticketMs });
      return ticket;
    },
    /** The credential of a ticket, for the first who asks. */
    takeOnce(ticket: string): HostCredential {
      const kept = once.get(ticket);
      once.delete(ticket);
      if (kept === undefined || kept.endsMs <= clock.monotonicMs()) throw credentialGone({});
      return kept.credential;
    },
  };
}

type About = Omit<Credential, 'id' | 'name' | 'addedAtMs'>;

function aboutOf(record: CredentialRecord): About {
  if (record.kind === 'host') {
    const { user, port, signIn, elevation } = record.host;
    return { kind: 'host', user, port, signIn: signIn.kind, elevation: elevation.kind };
  }
  if (record.kind === 'windows') return { kind: 'windows', user: record.windows.user, signIn: 'password', port: null, elevation: null };
  const { credential } = record;
  return { kind: 'database', user: credential.kind === 'scram' ? credential.user : null, signIn: credential.kind, port: null, elevation: null };
}
