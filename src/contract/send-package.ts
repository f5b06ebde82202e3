import type { Caller } from './link/caller.ts';
import { pieceBytes, type SignedManifest } from './packages.ts';

/** Bytes `from` on, at most `length` of them, of the archive that a manifest describes. */
export type ReadPiece = (from: number, length: number) => Promise<Uint8Array>;

/** Brings a package to a deployer, from the byte on that it does not have yet. Nothing is installed by it. */
export async function sendPackage(deployer: Caller, signed: SignedManifest, read: ReadPiece, signal?: AbortSignal): Promise<void> {
  const { sha256, bytes } = JSON.parse(signed.manifest) as { sha256: string; bytes: number };
  let { have } = await deployer.call('deployer.offer', { package: signed }, { signal });
  while (have < bytes) {
    const piece = await read(have, Math.min(pieceBytes, bytes - have));
    ({ have } = await deployer.call('deployer.piece', { sha256, offset: have, base64: Buffer.from(piece).toString('base64') }, { signal }));
  }
}
