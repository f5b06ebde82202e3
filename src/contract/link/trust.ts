/**
 * Trust on the order link: who the certificate says the peer is, and every reason to refuse it.
 *
 * Node's own refusal tells nobody why, so the handshake is let through and judged here, first thing, before a byte of
 * the peer is read: a refused socket is destroyed and its reason logged. The CA chooses every name in a certificate:
 * O=Tidemark, OU=the part (server, transport, deployer, depot), CN=the host's id.
 */
import type { TLSSocket } from 'node:tls';

export type Part = 'server' | 'transport' | 'deployer' | 'depot';

export type Peer = { readonly part: string; readonly name: string; /** Upper-case hex, as Node gives it. */ readonly serial: string; readonly validToMs: number };

/** What a side shows and whom it trusts: PEM texts. */
export type LinkIdentity = { readonly keyPem: string; readonly certificatePem: string; readonly caPem: string };

/** Answers why this peer is not wanted here, or undefined. */
export type Admit = (peer: Peer) => string | undefined;

export const admitPart =
  (part: Part): Admit =>
  (peer) =>
    peer.part === part ? undefined : `its certificate is for a ${peer.part}, and only a ${part} is wanted here`;

export const admitHost =
  (part: Part, name: string): Admit =>
  (peer) =>
    admitPart(part)(peer) ?? (peer.name === name ? undefined : `its certificate is of the host ${peer.name}, and ${name} is expected here`);

export type Judged = { readonly kind: 'admitted'; readonly peer: Peer } | { readonly kind: 'refused'; readonly why: string };

export function judge(socket: TLSSocket, admit: Admit): Judged {
  if (socket.getProtocol() !== 'TLSv1.3') return { kind: 'refused', why: `it speaks ${socket.getProtocol() ?? 'no TLS'}, not TLSv1.3` };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: 'refused', why: 'it showed no certificate' };
  if (!socket.authorized) return { kind: 'refused', why: `its certificate is not valid here: ${String(socket.authorizationError)}` };
  const peer = peerOf(certificate.subject, certificate.serialNumber, certificate.validToDate.getTime());
  const why = admit(peer);
  return why === undefined ? { kind: 'admitted', peer } : { kind: 'refused', why };
}

function peerOf(subject: string, serial: string, validToMs: number): Peer {
  const fields = new Map(
    subject.split('\n').map((line) => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)] as const;
    }),
  );
  return { part: fields.get('OU') ?? 'nothing', name: fields.get('CN') ?? '', serial, validToMs };
}

/** The TLS options both ends share. Judgement comes after the handshake, so nothing is rejected in it. */
export function tlsOptions(identity: LinkIdentity) {
  return {
    key: identity.keyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    rejectUnauthorized: false,
  } as const;
}
