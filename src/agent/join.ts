/**
 * How a host comes to its certificate: once with the token of its kit, from then on with the certificate it holds.
 *
 * Order, and why: the key pair is made here and the private key never leaves; the server is believed only when the authority
 * it shows has the fingerprint that came with the token; the identity file is written whole before anybody may dial. A host
 * that was killed between the answer and the file needs a new kit: its token is used.
 */
import { createHash, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { hostLabel } from '../base/host-label.ts';
import { ownPlatform } from '../base/host-platform.ts';
import { writeWhole } from '../base/whole-file.ts';
import { enrolled, type Enrolled, type EnrolledPart } from '../contract/enrolment.ts';
import { askForJson, type Asked } from '../contract/link/ask-once.ts';
import { readIdentity } from '../contract/link/identity-file.ts';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import { contractVersion } from '../contract/orders.ts';
import type { HostKit } from '../contract/routes/hosts.ts';
import { serverNotTrusted, serverNotReached } from './failures.ts';
import type { KnownServers } from './known-servers.ts';

const answerMs = 20_000;
const lookEveryMs = 3_600_000;
const retryMs = 60_000;

export type EnrolmentAddress = { readonly address: string; readonly enrolmentPort: number };

/** Redeems the kit's token for one service; its identity file is there when it resolves. Answers the host's id. */
export async function joinServer(kit: HostKit, part: EnrolledPart, identityFile: string, version: string): Promise<string> {
  const asking = `${identityFile}.asking`;
  const { keyPem, publicKeyPem } = await keptKeys(asking);
  const trust = trustByFingerprint(kit.fingerprint);
  const answer = await ask(kit.server, '/enrol', { token: kit.token, part, publicKeyPem, version, contract: contractVersion, platform: ownPlatform }, { rejectUnauthorized: false, minVersion: 'TLSv1.3' }, trust);
  await writeIdentity(identityFile, { keyPem, certificatePem: answer.certificatePem, caPem: answer.caPem });
  await rm(asking, { force: true });
  return answer.host;
}

/** Renews the certificate at two thirds of its life, looked at every hour, until the signal is aborted; by whichever of the servers does it. */
export async function keepRenewed(options: { servers: Pick<KnownServers, 'enrolments' | 'worked'>; identityFile: string; clock: Clock; log: Log; signal: AbortSignal; onRenewed: (identity: LinkIdentity) => void }): Promise<void> {
  const { servers, identityFile, clock, log, signal } = options;
  for (let waitMs = 0; !signal.aborted; ) {
    await clock.wait(waitMs, signal).catch(() => {});
    if (signal.aborted) return;
    waitMs = lookEveryMs;
    const held = await readIdentity(identityFile);
    if (held === undefined || !isPastTwoThirds(held.certificatePem, clock.now())) continue;
    for (const place of servers.enrolments()) {
      waitMs = lookEveryMs;
      try {
        options.onRenewed(await renewIdentity({ address: place.host, enrolmentPort: place.port }, held, identityFile));
        log.info('the certificate was renewed', { server: hostLabel(place) });
        servers.worked(place).catch((error: unknown) => log.warn('the address of a server was not kept', { why: describe(error) }));
        break;
      } catch (error) {
        log.error('the certificate could not be renewed', { server: hostLabel(place), why: describe(error) });
        waitMs = retryMs;
      }
    }
  }
}

export async function renewIdentity(server: EnrolmentAddress, held: LinkIdentity, identityFile: string): Promise<LinkIdentity> {
  const { keyPem, publicKeyPem } = makeKeys();
  const fingerprint = fingerprintOf(new X509Certificate(held.caPem));
  const answer = await ask(server, '/renew', { publicKeyPem }, tlsOptions(held), trustByFingerprint(fingerprint));
  const renewed = { keyPem, certificatePem: answer.certificatePem, caPem: answer.caPem };
  await writeIdentity(identityFile, renewed);
  return renewed;
}

function isPastTwoThirds(certificatePem: string, nowMs: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem);
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  return nowMs >= from + ((to - from) * 2) / 3;
}

/** The key that is asked for is on disk before the question: an answer that is lost is given again to the same key, and to no other. */
async function keptKeys(path: string): Promise<{ keyPem: string; publicKeyPem: string }> {
  const held = publicOf(await readFile(path, 'utf8').catch(() => ''));
  if (held !== undefined) return held;
  const made = makeKeys();
  await writeWhole(path, made.keyPem, 0o600);
  return made;
}

function publicOf(keyPem: string): { keyPem: string; publicKeyPem: string } | undefined {
  try {
    return { keyPem, publicKeyPem: createPublicKey(keyPem).export({ type: 'spki', format: 'pem' }) as string };
  } catch {
    return undefined;
  }
}

function makeKeys(): { keyPem: string; publicKeyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

function fingerprintOf(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}

/** Why the server on this socket is not the one of the kit, or undefined. */
function trustByFingerprint(fingerprint: string): (socket: TLSSocket) => string | undefined {
  return (socket) => {
    const leaf = socket.getPeerX509Certificate();
    const chain = socket.getPeerCertificate(true);
    if (leaf === undefined || chain.issuerCertificate?.raw === undefined) return 'it shows no certificate of an authority';
    const authority = new X509Certificate(chain.issuerCertificate.raw);
    const shown = fingerprintOf(authority);
    if (shown !== fingerprint) return `its authority has the fingerprint ${shown}, not ${fingerprint}`;
    if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return 'its certificate is not of that authority';
    return /(^|\n)OU=server(\n|$)/.test(leaf.subject) ? undefined : 'its certificate is not for a server';
  };
}

async function ask({ address: host, enrolmentPort: port }: EnrolmentAddress, path: '/enrol' | '/renew', body: unknown, tls: ConnectionOptions, distrust: Asked['distrust']): Promise<Enrolled> {
  const address = `${host}:${port}`;
  const server = { host, port, tls, distrust, notTrusted: (why: string) => serverNotTrusted({ address, why }), notReached: (why: string, cause?: unknown) => serverNotReached({ address, why }, cause) };
  return await askForJson(enrolled, server, { path, body, deadlineMs: answerMs });
}

async function writeIdentity(path: string, identity: LinkIdentity): Promise<void> {
  await writeWhole(path, JSON.stringify(identity), 0o600);
}
