/** A host's key as it is recorded: its type, and the fingerprint that `ssh-keygen -lf` shows. */
import { createHash } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';

export type HostKey = { readonly type: string; readonly fingerprint: string };

/** The key as it crosses the wire: its type as a string with a 4-byte length in front, then the rest. */
export function hostKeyOf(wire: Uint8Array): HostKey {
  const bytes = Buffer.from(wire);
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  const type = length > 0 && length <= 64 && bytes.length >= 4 + length ? bytes.toString('latin1', 4, 4 + length) : 'unknown';
  return { type, fingerprint: `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}` };
}

const usual: readonly ServerHostKeyAlgorithm[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256'];

/**
 * Signature algorithms, the one of the recorded key first: a host has keys of several types, and another type than the
 * recorded one would look like a changed key.
 */
export function algorithmsFor(recorded: HostKey | null): ServerHostKeyAlgorithm[] {
  const belongs = (algorithm: string): boolean => (recorded?.type === 'ssh-rsa' ? algorithm.startsWith('rsa-') : algorithm === recorded?.type);
  return [...usual.filter(belongs), ...usual.filter((algorithm) => !belongs(algorithm))];
}
