import type { Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';

export type SweepOptions = { readonly clock?: Clock; readonly onProgress?: (step: string) => void; readonly signal?: AbortSignal };
export type SweepReport = { freedBytes: number; deletedPacks: number; rewrittenPacks: number; keptBytes: number };
export async function sweepArchive(parts: ArchiveParts, options: SweepOptions): Promise<SweepReport> {
  throw new Error(`not written yet: ${parts.setId} ${String(options.signal)}`);
}
