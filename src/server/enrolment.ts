/**
 * Enrolment (port 10002): a one-time token for a certificate, and a certificate in force for the next one.
 *
 * The only port that answers somebody without a certificate, so it answers little: two paths, 16 KiB, ten seconds, 20 wrong
 * tokens a minute from an address. Nothing of a question but the public key gets into a certificate.
 */
import { createPublicKey } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure, toWire } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { enrolledPart, enrolment, enrolmentBytes, type Enrolled, type EnrolledPart } from '../contract/enrolment.ts';
import { judge, tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import type { Admission } from './admission.ts';
import type { Authority } from './authority.ts';
import { enrolmentRefused } from './failures.ts';
import type { Links } from './links.ts';
import { hashOf, openAttempts } from './sign-in.ts';

export type EnrolmentServer = { readonly port: number; renew(identity: LinkIdentity): void; close(): Promise<void> };

export type EnrolmentOptions = {
  host: string;
  port: number;
  identity: LinkIdentity;
  catalog: Catalog;
  authority: Authority;
  admission: Admission;
  links: Links;
  deployers: Links;
  clock: Clock;
  log: Log;
};

const answerWithinMs = 10_000;
const reasons = { unknown: 'the token is not known', used: 'the token was used before', over: 'the token is more than a day old', 'other-part': 'the token is for another service' } as const;

export async function openEnrolment(options: EnrolmentOptions): Promise<EnrolmentServer> {
  const { catalog, authority, admission, links, deployers, clock, log } = options;
  const attempts = openAttempts(clock);

  async function certify(host: HostRow, part: EnrolledPart, publicKeyPem: string): Promise<Enrolled> {
    const { certificatePem, caPem } = await authority.certify(publicKeyPem, { part, name: host.id, hosts: [host.address] });
    await admission.refresh();
    return { host: host.id, certificatePem, caPem };
  }

  async function enrol(body: unknown, from: string): Promise<Enrolled> {
    const asked = enrolment['/enrol'].safeParse(body);
    if (!asked.success) throw enrolmentRefused({ why: 'the question was not understood; the versions may not fit together' });
    if (!isUsableKey(asked.data.publicKeyPem)) throw enrolmentRefused({ why: 'the public key is not one of the curve P-256' });
    const redeemed = await catalog.hosts.redeem(hashOf(asked.data.token), asked.data.part, hashOf(asked.data.publicKeyPem), clock.now());
    if (redeemed.kind === 'refused') {
      attempts.count(from);
      throw enrolmentRefused({ why: reasons[redeemed.why] });
    }
    const { part, publicKeyPem, version } = asked.data;
    const answer = await certify(redeemed.host, part, publicKeyPem);
    // Before anything of it is reached: which ports have to be open for that follows from it.
    if (asked.data.platform !== undefined) await catalog.hosts.update(redeemed.host.id, { platform: asked.data.platform });
    if (part === 'transport') await links.open(redeemed.host);
    if (part === 'deployer') await deployers.open(redeemed.host);
    log.info('a service of a host has enrolled', { host: redeemed.host.name, part, from, version });
    return answer;
  }

  async function renew(socket: TLSSocket, body: unknown): Promise<Enrolled> {
    const judged = judge(socket, admission.anyOf(enrolledPart.options));
    if (judged.kind === 'refused') throw enrolmentRefused({ why: judged.why });
    const asked = enrolment['/renew'].safeParse(body);
    if (!asked.success) throw enrolmentRefused({ why: 'the question was not understood; the versions may not fit together' });
    const host = await catalog.hosts.find(judged.peer.name);
    if (host === undefined) throw enrolmentRefused({ why: 'this host was removed' });
    return await certify(host, enrolledPart.parse(judged.peer.part), asked.data.publicKeyPem);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const from = request.socket.remoteAddress ?? 'unknown address';
    response.setHeader('content-type', 'application/json');
    response.setHeader('connection', 'close');
    try {
      attempts.demand(from);
      if (request.method !== 'POST' || (request.url !== '/enrol' && request.url !== '/renew')) return void response.writeHead(404).end('{}');
      const body = await readJson(request);
      const done = request.url === '/enrol' ? await enrol(body, from) : await renew(request.socket as TLSSocket, body);
      response.writeHead(200).end(JSON.stringify(done));
    } catch (error) {
      log.warn('an enrolment was refused', { from, path: request.url, why: describe(error) });
      response.writeHead(isFailure(error) ? 403 : 500).end(JSON.stringify(toWire(error)));
    }
  }

  const server = createServer({ ...shown(options.identity), requestCert: true, rejectUnauthorized: false, requestTimeout: answerWithinMs, headersTimeout: answerWithinMs, handshakeTimeout: answerWithinMs }, (request, response) => void answer(request, response));
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    renew: (identity) => server.setSecureContext(shown(identity)),
    close: async () =>
      await new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isUsableKey(publicKeyPem: string): boolean {
  try {
    return createPublicKey(publicKeyPem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

/** The authority goes with the certificate: a new host knows it by its fingerprint only. */
function shown(identity: LinkIdentity): ReturnType<typeof tlsOptions> {
  return { ...tlsOptions(identity), cert: `${identity.certificatePem.trim()}\n${identity.caPem}` };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > enrolmentBytes) throw enrolmentRefused({ why: `the question is longer than ${enrolmentBytes} bytes` });
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw enrolmentRefused({ why: 'the question is not JSON' });
  }
}
