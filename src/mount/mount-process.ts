/**
 * The inside of a mount process. It does what it is told over the pipe from its parent, and ends with its parent.
 *
 *   waiting ─ serve ─→ opening ─→ ready ─ close | parent gone | SIGTERM ─→ unmounting ─→ ended
 *                         └─ failed ─→ ended        └─ unmounted by somebody else ─→ ended
 */
import { describe, toWire, type WireFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import { openPacePipe, type PaceAnswer, type PaceAsked } from '../mover/paces.ts';
import type { OpenSource, PointSource, SourceAccess } from './point-source.ts';
import { serveMount, type ServedMount } from './serve-mount.ts';
import type { Trouble } from './trouble.ts';

export type MountJob = {
  readonly source: SourceAccess;
  readonly mountDirectory: string;
  readonly overlayDirectory: string;
  readonly throwAway: boolean;
  readonly device?: string;
};

export type ToMountProcess = { readonly kind: 'serve'; readonly job: MountJob } | { readonly kind: 'close'; readonly deadlineMs: number } | PaceAnswer;

export type FromMountProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly failure: WireFailure }
  | ({ readonly kind: 'trouble' } & Trouble)
  | PaceAsked;

export type MountProcess = {
  /** Resolves when the process has nothing left to do. */
  readonly ended: Promise<void>;
  receive(message: ToMountProcess): void;
  close(deadlineMs: number): void;
};

export function openMountProcess(options: { openSource: OpenSource; send: (message: FromMountProcess) => Promise<void>; log: Log }): MountProcess {
  const { send, log } = options;
  const ended = Promise.withResolvers<void>();
  let source: PointSource | undefined;
  let served: Promise<ServedMount> | undefined;
  let closing = false;
  const pace = openPacePipe((asked) => void send(asked));

  const open = async (job: MountJob): Promise<ServedMount> => {
    source = await options.openSource(job.source, pace.ask);
    if (closing) throw stopped({ what: 'the mount' });
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    return await serveMount({ ...job, files: source.files, owner, log, onTrouble: (trouble) => void send({ kind: 'trouble', ...trouble }) });
  };

  const serve = async (job: MountJob): Promise<void> => {
    try {
      served = open(job);
      const { unmounted } = await served;
      await send({ kind: 'ready' });
      await unmounted;
    } catch (error) {
      log.error('the mount has failed', { why: describe(error) });
      await send({ kind: 'failed', failure: toWire(error) });
    }
    await source?.close().catch(() => {});
    ended.resolve();
  };

  const close = (deadlineMs: number): void => {
    if (closing) return;
    closing = true;
    pace.gone();
    if (served === undefined) return ended.resolve();
    served.then(
      async (mount) => {
        await mount.unmount(deadlineMs);
        ended.resolve();
      },
      () => ended.resolve(),
    );
  };

  return {
    ended: ended.promise,
    receive(message) {
      if (message.kind === 'paced') pace.hear(message);
      else if (message.kind === 'close') close(message.deadlineMs);
      else if (!closing && served === undefined) void serve(message.job);
    },
    close,
  };
}
