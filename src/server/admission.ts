/**
 * Who is let in on a link: only a certificate that this authority handed out, whose serial is on the list of those in force,
 * for the part that is wanted there. The list is held in memory, because a handshake cannot wait, and read again whenever
 * a certificate is issued or a host removed: a removed host is refused from that moment on.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { admitHost, admitPart, type Admit, type Part } from '../contract/link/trust.ts';

export type Admission = {
  /** `name` narrows it to one host. */
  readonly part: (part: Part, name?: string) => Admit;
  /** Any of several parts. */
  readonly anyOf: (parts: readonly Part[]) => Admit;
  /** Reads the list again. */
  refresh(): Promise<void>;
};

export async function openAdmission(catalog: Catalog, clock: Clock): Promise<Admission> {
  let listed = new Map<string, string>();
  const refresh = async (): Promise<void> => {
    listed = new Map((await catalog.certificates.inForce(clock.now())).map(({ serial, name }) => [serial, name]));
  };
  await refresh();
  const ifListed =
    (admit: Admit): Admit =>
    (peer) =>
      admit(peer) ?? (listed.get(peer.serial) === peer.name ? undefined : `serial ${peer.serial} is not on the list of certificates in force`);
  return {
    refresh,
    part: (part, wanted) => ifListed(wanted === undefined ? admitPart(part) : admitHost(part, wanted)),
    anyOf: (parts) => ifListed((peer) => (parts.some((part) => part === peer.part) ? undefined : `its certificate is for a ${peer.part}, which has no business here`)),
  };
}
