/**
 * Changes of a host's services: sessions with the host's lane, so that one host has one change at a time. An operator opens
 * them by hand; a rescan opens the same ones and waits for their end.
 */
import { laneTaken } from '../catalog/failures.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import { fromWire, isFailure, type WireFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import type { FlowContext } from './flow.ts';
import type { ConfigureWish } from './flows/configure.ts';
import type { DeployWish } from './flows/deploy.ts';
import type { UninstallWish } from './flows/uninstall.ts';
import type { UpdateWish } from './flows/update.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';

/** What is wished of the host that is changed. */
export type HostChange =
  | { readonly kind: 'deploy'; readonly wish: Omit<DeployWish, 'host'> }
  | { readonly kind: 'update'; readonly wish: Omit<UpdateWish, 'host'> }
  | { readonly kind: 'configure'; readonly wish: Omit<ConfigureWish, 'host'> }
  | { readonly kind: 'uninstall'; readonly wish: Omit<UninstallWish, 'host'> };

/** `taken`: another session changes the host; it is that one. */
export type OpenedChange = { readonly kind: 'opened' | 'taken'; readonly session: string };

export type HostChanges = ReturnType<typeof openHostChanges>;

export function openHostChanges(engineOf: () => SessionEngine) {
  return {
    async open(host: HostRow, { kind, wish }: HostChange, reason?: string): Promise<OpenedChange> {
      try {
        const row = await engineOf().start({ kind, object: { kind: 'host', id: host.id, name: host.name }, setId: null, lane: laneOf(kind, host.id), wish: { host: host.id, ...wish }, reason });
        return { kind: 'opened', session: row.id };
      } catch (error) {
        if (!isFailure(error, laneTaken)) throw error;
        return { kind: 'taken', session: String(error.details['session']) };
      }
    },

    /**
     * Waits for the end of a change and throws what it failed with. Where the waiting is cut off, the one that was opened
     * for it is stopped too, unless the server ends: then the next one goes on with both.
     */
    async ended({ kind, session }: OpenedChange, context: FlowContext, signal: AbortSignal): Promise<void> {
      const leave = (): void => {
        if (kind === 'opened' && !context.isClosing()) engineOf().stop(session).catch(() => {});
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
      const row = await engineOf().ended(session).finally(() => signal.removeEventListener('abort', leave));
      signal.throwIfAborted();
      if (kind === 'opened') demandSuccess(row);
    },
  };
}

function demandSuccess({ id, failure, state }: SessionRow): void {
  if (failure !== null) throw fromWire(JSON.parse(failure) as WireFailure);
  if (state === 'stopped') throw stopped({ what: `session ${id}` });
}
