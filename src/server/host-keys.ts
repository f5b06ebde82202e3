/**
 * Which SSH key is whose.
 *
 *            ┌─ automatic mode ──────────────────────────▶ trusted ──shows another──▶ changed
 *   unknown ─┤                                             ▲     ▲                        │
 *            └─ manual mode ──▶ untrusted ──an operator admits──┘ └──an operator admits───┘
 *
 * The key is written down before anything is sent to the host: a first sign-in that fails still leaves it on record, and
 * whoever shows another one later is noticed. A changed key is never admitted by itself, in either mode.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { HostKeyRow } from '../catalog/credentials.ts';
import type { Clock } from '../base/clock.ts';
import type { HostKeyMode, HostKeyStanding } from '../contract/routes/host-keys.ts';
import type { HostKeyRule } from '../ssh/connect.ts';
import type { HostKey } from '../ssh/host-key.ts';
import { hostKeyOther, hostKeyUnknown } from './failures.ts';

const modeSetting = 'host-keys.mode';

export type HostKeys = ReturnType<typeof openHostKeys>;

export function openHostKeys(options: { catalog: Catalog; clock: Clock }) {
  const { catalog, clock } = options;
  const { hostKeys, settings } = catalog;
  const mode = async (): Promise<HostKeyMode> => ((await settings.get(modeSetting)) === 'manual' ? 'manual' : 'automatic');

  return {
    mode,
    setMode: async (wanted: HostKeyMode): Promise<void> => await settings.put(modeSetting, wanted),

    /** How a connection to this host judges the key it meets; what it meets is written down. */
    async rule(host: string, port: number): Promise<HostKeyRule> {
      const row = await hostKeys.find(host, port);
      const recorded = row === undefined ? null : trustedOf(row);
      const unknown = (await mode()) === 'automatic' ? 'admit' : 'refuse';
      const seen = async (key: HostKey): Promise<HostKey | null> => {
        if (recorded?.fingerprint === key.fingerprint) return recorded;
        if (recorded === null && unknown === 'admit') {
          const written = await hostKeys.trustFirst(host, port, key, clock.now());
          // Somebody else may have met it with another key at the same moment.
          if (written.trusted_fingerprint === key.fingerprint) return key;
          await hostKeys.putWaiting(host, port, key, clock.now());
          // It was seen in manual mode, and nobody has admitted it since.
          if (written.trusted_fingerprint === null && (await hostKeys.admit(host, port, key.fingerprint, 'first use', clock.now()))) return key;
        } else await hostKeys.putWaiting(host, port, key, clock.now());
        const row = await hostKeys.find(host, port);
        return row === undefined ? null : trustedOf(row);
      };
      return { recorded, unknown, seen };
    },

    standing: async (host: string, port: number): Promise<HostKeyStanding | null> => {
      const row = await hostKeys.find(host, port);
      return row === undefined ? null : standingOf(row);
    },
    list: async (): Promise<HostKeyStanding[]> => (await hostKeys.list()).map(standingOf),

    /** Trusts the key that waits. The fingerprint is the one the operator has compared. */
    async admit(host: string, port: number, fingerprint: string, by: string): Promise<HostKeyStanding> {
      const row = await hostKeys.find(host, port);
      const known = row === undefined ? null : (row.waiting_fingerprint ?? row.trusted_fingerprint);
      if (row === undefined || known === null) throw hostKeyUnknown({ host, port });
      const isTrusted = row.trusted_fingerprint === fingerprint && row.waiting_fingerprint === null;
      if (!isTrusted && !(await hostKeys.admit(host, port, fingerprint, by, clock.now()))) throw hostKeyOther({ host, port, shown: known, given: fingerprint });
      return standingOf((await hostKeys.find(host, port))!);
    },
    forget: async (host: string): Promise<void> => await hostKeys.forget(host),
  };
}

function trustedOf(row: HostKeyRow): HostKey | null {
  return row.trusted_type === null || row.trusted_fingerprint === null ? null : { type: row.trusted_type, fingerprint: row.trusted_fingerprint };
}

function standingOf(row: HostKeyRow): HostKeyStanding {
  const { host, port } = row;
  const key = trustedOf(row);
  const trusted = key === null ? null : { ...key, by: row.trusted_by ?? '', atMs: row.trusted_ms ?? 0 };
  const waiting = row.waiting_type === null || row.waiting_fingerprint === null ? null : { type: row.waiting_type, fingerprint: row.waiting_fingerprint, atMs: row.waiting_ms ?? 0 };
  return { host, port, state: waiting === null ? 'trusted' : trusted === null ? 'untrusted' : 'changed', trusted, waiting };
}
