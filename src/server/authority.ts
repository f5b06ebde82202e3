/**
 * The certificate authority of this installation: made at first start, kept in the data directory, 0600.
 *
 *   ca.json           key and certificate, 20 years
 *   <identity>.json   key, certificate, CA of one part: 30 days, issued again after 20 (identity-file.ts)
 *
 * The authority chooses every name in a certificate; nobody asks for one by name. Each serial goes to `record` before
 * the certificate is handed out: the list of serials, not the expiry alone, says who is let in (docs/design/trust.md).
 */
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto, X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
  type JsonGeneralName,
} from '@peculiar/x509';
import type { Clock } from '../base/clock.ts';
import { readIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity, Part } from '../contract/link/trust.ts';
import { readSecret, writeSecret } from './secret-file.ts';

const dayMs = 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const validDays = 30;
/** A host whose clock is a day behind still accepts a new certificate. */
const backdatedMs = dayMs;

export type Issued = { readonly serial: string; readonly part: Part; readonly name: string; readonly notAfterMs: number };

export type Authority = {
  readonly caPem: string;
  /** Its file: key and certificate. */
  readonly secret: string;
  /** SHA-256 of the CA certificate, hex. */
  readonly fingerprint: string;
  issue(what: IssueWhat): Promise<LinkIdentity & Issued>;
  /** A certificate for a key pair that somebody else holds. Nothing but the public key is taken from them. */
  certify(publicKeyPem: string, what: IssueWhat): Promise<Omit<LinkIdentity, 'keyPem'> & Issued>;
  /** The identity in a file; issued again when it is absent, of another CA or past two thirds of its life. */
  keep(path: string, what: IssueWhat): Promise<LinkIdentity & { readonly renewed: boolean }>;
};

export type IssueWhat = { readonly part: Part; readonly name: string; readonly hosts: readonly string[]; readonly days?: number };

export async function openAuthority(directory: string, clock: Clock, record: (issued: Issued) => Promise<void>): Promise<Authority> {
  const path = join(directory, 'ca.json');
  const kept = await readSecret(path);
  const made = kept === undefined ? await makeCa(clock) : (JSON.parse(kept.toString()) as { keyPem: string; certificatePem: string });
  if (kept === undefined) await writeSecret(path, JSON.stringify(made));
  const caKey = await webcrypto.subtle.importKey('pkcs8', fromPem(made.keyPem), algorithm, false, ['sign']);
  const ca = new X509Certificate(made.certificatePem);

  async function certify(publicKey: webcrypto.CryptoKey, what: IssueWhat): Promise<Omit<LinkIdentity, 'keyPem'> & Issued> {
    const now = clock.now();
    const notAfterMs = now + (what.days ?? validDays) * dayMs;
    const certificate = await X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: `O=Tidemark, OU=${what.part}, CN=${what.name}`,
      issuer: ca.subject,
      notBefore: new Date(Math.min(now, notAfterMs) - backdatedMs),
      notAfter: new Date(notAfterMs),
      publicKey,
      signingKey: caKey,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        ...(what.hosts.length === 0 ? [] : [new SubjectAlternativeNameExtension(what.hosts.map(generalName))]),
      ],
    });
    const certificatePem = certificate.toString('pem');
    const issued: Issued = { serial: new NodeCertificate(certificatePem).serialNumber, part: what.part, name: what.name, notAfterMs };
    await record(issued);
    return { ...issued, certificatePem, caPem: made.certificatePem };
  }

  async function issue(what: IssueWhat): Promise<LinkIdentity & Issued> {
    const keys = await makeKeys();
    return { ...(await certify(keys.publicKey, what)), keyPem: await toPem(keys.privateKey) };
  }

  return {
    caPem: made.certificatePem,
    secret: JSON.stringify(made),
    fingerprint: createHash('sha256').update(new NodeCertificate(made.certificatePem).raw).digest('hex'),
    issue,
    certify: async (publicKeyPem, what) => await certify(await webcrypto.subtle.importKey('spki', fromPem(publicKeyPem), algorithm, true, ['verify']), what),
    async keep(file, what) {
      const held = await readIdentity(file);
      if (held !== undefined && held.caPem === made.certificatePem && isFresh(held.certificatePem, what, clock)) return { ...held, renewed: false };
      const { keyPem, certificatePem, caPem } = await issue(what);
      await writeSecret(file, JSON.stringify({ keyPem, certificatePem, caPem }));
      return { keyPem, certificatePem, caPem, renewed: true };
    },
  };
}

/** Below two thirds of its life, and for the same names. */
function isFresh(certificatePem: string, what: IssueWhat, clock: Clock): boolean {
  const held = new NodeCertificate(certificatePem);
  const from = held.validFromDate.getTime() + backdatedMs;
  const to = held.validToDate.getTime();
  const isSame = what.hosts.every((host) => (isIP(host) === 0 ? held.checkHost(host) : held.checkIP(host)) !== undefined);
  return isSame && clock.now() < from + ((to - from) * 2) / 3;
}

async function makeCa(clock: Clock): Promise<{ keyPem: string; certificatePem: string }> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `O=Tidemark, OU=authority, CN=${randomBytes(8).toString('hex')}`,
    notBefore: new Date(clock.now() - backdatedMs),
    notAfter: new Date(clock.now() + 20 * 365 * dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true)],
  });
  return { keyPem: await toPem(keys.privateKey), certificatePem: certificate.toString('pem') };
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

/** Sixteen random bytes, positive. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function generalName(host: string): JsonGeneralName {
  return { type: isIP(host) === 0 ? 'dns' : 'ip', value: host };
}

async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const lines = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
}

function fromPem(pem: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64'));
}
