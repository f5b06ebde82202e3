/**
 * The installer service of a Windows host (docs/design/windows-first-contact.md): put there and started from outside, it takes one
 * signed package from the server, has it installed and ends.
 *
 *   started ─▶ shown ─▶ waiting ──token──▶ begun ─▶ offered ─▶ received ─▶ installed ─▶ ended
 *                          └──────── nothing heard for 15 minutes, or past its hour ────▶ ended
 *
 * Shown: its own certificate lies beside it (`installer.pem`) for the server to fetch over the way by which it was put there, whole,
 * before it listens. A peer is judged before a byte of it is read: a certificate of our authority, for a server. Then the token,
 * of which only the hash is here, opens one conversation, once. What is installed is what the key of packages signed, for this
 * platform, to the last byte, checked on the very copy that Windows Installer is given; the kit is laid down before, so that a service that starts at once finds it.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rm, stat, statfs } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type * as z from 'zod';
import { isFailure, toWire, describe } from '../base/failure.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { claimFolder } from '../base/own-folder.ts';
import { writeWhole } from '../base/whole-file.ts';
import { contactBytes, contactFile, firstContact, type ContactFile, type ContactPath } from '../contract/first-contact.ts';
import { admitPart, judge } from '../contract/link/trust.ts';
import { openManifest, type PackageManifest, type SignedManifest } from '../contract/packages.ts';
import { openIncoming } from './deployer/incoming.ts';
import { contactRefused, wrongPlatform } from './failures.ts';
import { checkFolder, copyToInstall, makeOwnFolder } from './installer-folder.ts';
import { makeOwnCertificate } from './own-certificate.ts';
import { inWindowsHome } from './settings.ts';

type Asked<P extends ContactPath> = z.infer<(typeof firstContact)[P]['input']>;
type Answered<P extends ContactPath> = z.infer<(typeof firstContact)[P]['output']>;
type Answers = { readonly [P in ContactPath]: (asked: Asked<P>) => Promise<Answered<P>> };

export type InstallerOptions = {
  /** Where it was put, with `contact.json`. */
  readonly directory: string;
  /** Its folder must lie directly below. */
  readonly systemRoot: string;
  /** Makes a folder the system's and administrators' alone, or throws. */
  readonly keepFromOthers: (folder: string) => Promise<void>;
  /** Where settings and kits of all services are: believed (base/own-folder.ts) before anything is written there. */
  readonly home: string;
  /** What packages must be for. */
  readonly platform: string;
  readonly address?: string;
  /** Installs a checked package of Windows Installer; throws with what that said. */
  readonly install: (file: string, manifest: PackageManifest) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly silenceMs?: number;
};

export type Installer = { readonly port: number; /** Resolves when it is not needed any more, with why. */ readonly ended: Promise<string>; close(): Promise<void> };

const usualSilenceMs = 900_000;
const wrongTokens = 20;
const lookEveryMs = 1_000;
export const certificateFile = 'installer.pem';

export async function readContact(directory: string): Promise<ContactFile> {
  return contactFile.parse(JSON.parse(await readFile(join(directory, 'contact.json'), 'utf8')));
}

export async function openInstaller(options: InstallerOptions): Promise<Installer> {
  const { directory, clock, log } = options;
  const contact = await readContact(directory);
  if (clock.now() >= contact.expiresAtMs) throw contactRefused({ why: 'its hour is over' });
  await checkFolder(directory, { name: contact.folder, systemRoot: options.systemRoot });
  await options.keepFromOthers(directory);
  const own = makeOwnCertificate(contact.host, clock.now());
  await writeWhole(join(directory, certificateFile), own.certificatePem, 0o644);
  const ended = Promise.withResolvers<string>();
  let heardMs = clock.monotonicMs();
  const answers = await conversation(options, contact, (why) => ended.resolve(why));

  const http = createHttpServer({ requestTimeout: 60_000 }, (request, response) => {
    heardMs = clock.monotonicMs();
    void respond(request, response, answers, log);
  });
  const server = createTlsServer({ key: own.keyPem, cert: own.certificatePem, ca: contact.caPem, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3', handshakeTimeout: 10_000 }, (socket) => {
    const judged = judge(socket, admitPart('server'));
    if (judged.kind === 'admitted') return void http.emit('connection', socket);
    log.warn('refused', { peer: socket.remoteAddress ?? 'unknown address', why: judged.why });
    socket.destroy();
  });
  server.on('tlsClientError', (error) => log.warn('refused', { why: error.message }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(contact.port, options.address, resolve);
  });
  const watch = setInterval(() => {
    if (clock.now() >= contact.expiresAtMs) ended.resolve('its hour is over');
    else if (clock.monotonicMs() - heardMs >= (options.silenceMs ?? usualSilenceMs)) ended.resolve('nothing was heard of the server');
  }, lookEveryMs);
  return {
    port: (server.address() as AddressInfo).port,
    ended: ended.promise,
    close: async () => {
      clearInterval(watch);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        http.closeAllConnections();
      });
    },
  };
}

async function conversation(options: InstallerOptions, contact: ContactFile, end: (why: string) => void): Promise<Answers> {
  const { directory, platform, clock, log } = options;
  const made = await makeOwnFolder(directory);
  const incoming = await openIncoming(join(made, 'incoming'));
  let attempts = 0;
  let opened: string | undefined;
  let offered: { manifest: PackageManifest; signed: SignedManifest } | undefined;
  const demand = (shown: string): void => {
    if (clock.now() >= contact.expiresAtMs) throw contactRefused({ why: 'its hour is over' });
    if (opened === undefined || !isSame(hashOf(shown), opened)) throw contactRefused({ why: 'the ticket is another one' });
  };
  const requireOffered = (): { manifest: PackageManifest; signed: SignedManifest } => {
    if (offered === undefined) throw contactRefused({ why: 'no package was shown yet' });
    return offered;
  };
  return {
    async '/begin'({ token }) {
      if (clock.now() >= contact.expiresAtMs) throw contactRefused({ why: 'its hour is over' });
      if (opened !== undefined) throw contactRefused({ why: 'the token was used already' });
      if (attempts >= wrongTokens) throw contactRefused({ why: 'too many wrong ones were shown' });
      if (!isSame(hashOf(token), contact.tokenHash)) {
        attempts++;
        throw contactRefused({ why: 'the token is not the one of this contact' });
      }
      const ticket = randomBytes(32).toString('base64url');
      opened = hashOf(ticket);
      const { bavail, bsize } = await statfs(directory);
      return { ticket, hostname: hostname(), system: release(), machine: process.arch, platform, freeBytes: bavail * bsize };
    },
    async '/offer'({ ticket, package: signed }) {
      demand(ticket);
      const manifest = openManifest(signed, contact.packageKey);
      if (manifest.platform !== platform) throw wrongPlatform({ name: manifest.name, version: manifest.version, for: manifest.platform, here: platform });
      offered = { manifest, signed };
      return { have: await incoming.offer(manifest) };
    },
    async '/piece'({ ticket, offset, base64 }) {
      demand(ticket);
      return { have: await incoming.piece(requireOffered().manifest.sha256, offset, Buffer.from(base64, 'base64')) };
    },
    async '/install'({ ticket, kit, deployerPort }) {
      demand(ticket);
      const { manifest: shown, signed } = requireOffered();
      const { file, manifest } = await copyToInstall(await incoming.archive(shown), signed, contact.packageKey, made);
      claimFolder(options.home);
      await writeUnlessThere(join(options.home, ...inWindowsHome.settings('deployer')), JSON.stringify({ listen: { port: deployerPort } }));
      const kitFile = join(options.home, ...inWindowsHome.kit('deployer'));
      await writeWhole(kitFile, JSON.stringify(kit), 0o600);
      try {
        await options.install(file, manifest);
      } catch (error) {
        await rm(kitFile, { force: true });
        throw error;
      }
      await incoming.clear();
      log.info('installed', { package: manifest.name, version: manifest.version });
      return { version: manifest.version };
    },
    async '/end'({ ticket }) {
      demand(ticket);
      end('the server has what it wanted');
      return await Promise.resolve({});
    },
  };
}

/** Settings that somebody wrote there stay; the server learns by the link that it does not get, and says so. */
async function writeUnlessThere(path: string, text: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) === undefined) await writeWhole(path, text, 0o600);
}

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
const isSame = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

async function respond(request: IncomingMessage, response: ServerResponse, answers: Answers, log: Log): Promise<void> {
  response.setHeader('content-type', 'application/json');
  try {
    const path = request.url as ContactPath;
    if (request.method !== 'POST' || !Object.hasOwn(firstContact, path)) return void response.writeHead(404).end('{}');
    const asked = firstContact[path].input.safeParse(JSON.parse(await textOf(request)));
    if (!asked.success) throw contactRefused({ why: 'the question was not understood; the versions may not fit together' });
    const answer = await (answers[path] as (given: unknown) => Promise<unknown>)(asked.data);
    response.writeHead(200).end(JSON.stringify(answer));
  } catch (error) {
    log.warn('a question was refused', { path: request.url, why: describe(error) });
    response.writeHead(isFailure(error) ? 403 : 500).end(JSON.stringify(toWire(error)));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > contactBytes) throw contactRefused({ why: `the question is longer than ${contactBytes} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
