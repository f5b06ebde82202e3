/** Where a mount's bytes come from: the files of a restore point, to be read in parts or laid down whole. */
import type { ArchiveAccess } from '../contract/values.ts';
import type { AskPace } from '../mover/paces.ts';
import type { MountedFile } from './tree.ts';

export type SourceFile = MountedFile & {
  /** Writes the whole file to a path, verified and on disk when it resolves. */
  layDown(to: string): Promise<void>;
};

export type PointSource = { readonly files: readonly SourceFile[]; close(): Promise<void> };

/** What to open, as it travels to the mount process. Holds a key: it goes over a pipe and never into arguments. */
export type SourceAccess = { readonly archive: ArchiveAccess; readonly point: string; readonly identityFile?: string; readonly cacheBytes?: number };

export type OpenSource = (access: SourceAccess, pace?: AskPace) => Promise<PointSource>;
