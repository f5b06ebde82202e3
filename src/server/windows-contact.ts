/**
 * First contact with a Windows host (docs/design/windows-first-contact.md): from nothing of ours to a deployer that answers.
 *
 *   sign in ─▶ put installer ─▶ start it ─▶ open ─▶ send package ─▶ install ─▶ health ─▶ tidy up
 *     445            445       135, else 445  11731      11731        11731      6160     as it was started
 *
 * Doing it again is safe at any step: the service has one name, each folder one of its own that nobody can know before, and what earlier
 * contacts left of them is taken away first. Nothing secret is put there. What comes back, the installer's certificate, is fetched over the same signed session and
 * is the only one that 11731 may show. Whatever fails, service and folder are taken away again, or named.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { until } from '../base/deadline.ts';
import { describe, isFailure } from '../base/failure.ts';
import { pieceBytes } from '../contract/packages.ts';
import { firstContact, installerFolderPrefix, installerName, installerPort, type ContactFile, type ContactPath } from '../contract/first-contact.ts';
import { askForJson, type Asked } from '../contract/link/ask-once.ts';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import type { HostKit } from '../contract/routes/hosts.ts';
import type { Account } from '../windows/account.ts';
import { answerForged, shareRefused } from '../windows/failures.ts';
import { filesOver445, servicesOver445, type RemoteFiles, type SambaPlace } from '../windows/samba-tools.ts';
import { openServiceControl, type RemoteServices } from '../windows/service-control.ts';
import type { OfferedPackage } from './distribution.ts';
import { deploymentFailed, installerNotReached, installerNotStarted, platformUnfit, windowsInstallerMissing } from './failures.ts';
import type * as z from 'zod';

export type WindowsStep = 'sign in' | 'put installer' | 'start installer' | 'open installer' | 'send package' | 'install' | 'health' | 'tidy up';

export type WindowsContact = {
  readonly host: { readonly id: string; readonly name: string; readonly address: string; readonly deployerPort: number };
  readonly account: Account;
  /** On this machine: what is put there, with node.exe and installer.js at its top. */
  readonly installerDirectory: string;
  /** On this machine, for this server alone. */
  readonly workDirectory: string;
  readonly identity: LinkIdentity;
  readonly packageKey: string;
  readonly offered: OfferedPackage;
  readonly read: (from: number, length: number) => Promise<Uint8Array>;
  readonly kit: HostKit;
  readonly nowMs: number;
  /** True when the deployer answers, else what is still missing. Asked until the deadline. */
  readonly healthy: () => true | string;
  readonly say: (step: WindowsStep, text: string) => void;
  readonly signal: AbortSignal;
};

const hourMs = 3_600_000;
const ms = { put: 300_000, control: 8_000, gone: 30_000, shown: 60_000, ask: 30_000, install: 360_000, health: 90_000 };

type Standing = { step: WindowsStep; /** In ADMIN$. */ readonly folder: string; /** One for each contact, never written down here. */ readonly token: string; hasFolder: boolean; isThere: boolean; isInstalled: boolean };
type Ways = { files: RemoteFiles; over445: RemoteServices; services: RemoteServices; end: () => void };

export async function deployOverWindows(contact: WindowsContact): Promise<void> {
  const { host, say } = contact;
  const state: Standing = { step: 'sign in', folder: `${installerFolderPrefix}${randomBytes(16).toString('hex')}`, token: randomBytes(32).toString('base64url'), hasFolder: false, isThere: false, isInstalled: false };
  await mkdir(contact.workDirectory, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(contact.workDirectory, 'contact-'));
  const place: SambaPlace = { host: host.address, account: contact.account, secretsDirectory: work, signal: contact.signal };
  const ways: Ways = { files: filesOver445(place), over445: servicesOver445(place), services: servicesOver445(place), end: () => {} };
  try {
    const things = await thingsIn(contact.installerDirectory);
    say('sign in', `to ${host.address} on port 445 as ${contact.account.user}${contact.account.domain === '' ? '' : ` of ${contact.account.domain}`}`);
    // First of all, because a wrong password is sent once.
    await ways.files.foldersNamed(installerFolderPrefix);
    await chooseWay(contact, ways, state);
    await removeEarlier(contact, ways);
    await putInstaller(contact, ways, state, things, work);
    await startInstaller(contact, ways, state);
    const pinned = await shownCertificate(contact, ways, state, work);
    await converse(contact, pinned, state);
    await awaitHealth(contact, state);
    await tidyUp(contact, ways, state);
  } catch (error) {
    throw await failed(contact, ways, state, error);
  } finally {
    ways.end();
    await rm(work, { recursive: true, force: true });
  }
}

async function thingsIn(directory: string): Promise<{ path: string; file: string }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw windowsInstallerMissing({ directory }, error);
  });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const things = files.map((file) => ({ file, path: relative(directory, file) }));
  if (!['node.exe', 'installer.js'].every((name) => things.some(({ path }) => path === name))) throw windowsInstallerMissing({ directory });
  return things;
}

/** Service control over its own line is faster; where that is closed the pipe in 445 does the same. A forged answer is no reason to try another way. */
async function chooseWay({ host, account, say, signal }: WindowsContact, ways: Ways, state: Standing): Promise<void> {
  try {
    const services = await openServiceControl({ host: host.address, account, deadlineMs: ms.control, signal });
    say('sign in', `service control over port ${services.port}, which port 135 named, signed and sealed`);
    ways.services = services;
    ways.end = () => services.close();
  } catch (error) {
    if (isFailure(error, answerForged) || signal.aborted) throw error;
    say('sign in', `service control over 445, because port 135 does not lead there: ${describe(error)}`);
  }
  state.isThere = true;
  if ((await ways.services.stop(installerName)) !== 'unknown') {
    await ways.services.remove(installerName);
    say('sign in', 'an installer of an earlier contact was taken away');
  }
}

/** Folders of earlier contacts. Only administrators can have made them, where they lie; what is in use goes when its program has ended. */
async function removeEarlier({ say, signal }: WindowsContact, { files }: Ways): Promise<void> {
  await until('the folders of earlier contacts to be gone', ms.gone, async () => {
    const names = (await files.foldersNamed(installerFolderPrefix)).filter((name) => /^[0-9a-f]{32}$/.test(name.slice(installerFolderPrefix.length)));
    if (names.length === 0) return true;
    for (const name of names) await files.removeFolder(name).then(() => say('sign in', `ADMIN$\\${name} of an earlier contact was taken away`), (error: unknown) => {
      if (!isFailure(error, shareRefused)) throw error;
    });
    return undefined;
  }, { everyMs: 300, signal });
}

async function putInstaller(contact: WindowsContact, { files }: Ways, state: Standing, things: readonly { path: string; file: string }[], work: string): Promise<void> {
  state.step = 'put installer';
  const startedMs = performance.now();
  const { folder, token } = state;
  // Alone and first: into a folder that somebody else has made nothing is put.
  await files.makeFolder(folder);
  state.hasFolder = true;
  const { caPem } = contact.identity;
  const about: ContactFile = { kind: 'tidemark-first-contact', folder, host: contact.host.id, tokenHash: createHash('sha256').update(token).digest('hex'), caPem, packageKey: contact.packageKey, port: installerPort, expiresAtMs: contact.nowMs + hourMs };
  const aboutFile = join(work, 'contact.json');
  await writeFile(aboutFile, JSON.stringify(about), { mode: 0o600 });
  const there = (path: string): string => `${folder}\\${path.replaceAll('/', '\\')}`;
  const folders = new Set(things.flatMap(({ path }) => path.split('/').slice(0, -1).map((_, n, parts) => there(parts.slice(0, n + 1).join('/')))));
  const all = [...things.map(({ path, file }) => ({ file, to: there(path) })), { file: aboutFile, to: there('contact.json') }];
  await files.put(all, [...folders].sort(), ms.put);
  contact.say('put installer', `${things.length} files in ADMIN$\\${folder}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

async function startInstaller(contact: WindowsContact, { services }: Ways, state: Standing): Promise<void> {
  state.step = 'start installer';
  // As ADMIN$, wherever Windows is installed.
  const at = `%SystemRoot%\\${state.folder}`;
  const service = { name: installerName, title: 'Tidemark installer', command: `"${at}\\node.exe" "${at}\\installer.js"` };
  // One that was deleted while somebody had it open stays for a moment.
  await until(`the service ${installerName} to be made`, ms.gone, async () => {
    const made = await services.create(service).catch((error: unknown) => {
      if (isFailure(error, { code: 'windows.service-call-failed' }) && error.details['status'] === 1072) return 'exists' as const;
      throw error;
    });
    if (made === 'created') return true;
    await services.remove(installerName).catch(() => {});
    return undefined;
  }, { everyMs: 300, signal: contact.signal });
  await services.start(installerName);
  contact.say('start installer', `service ${installerName}, ${service.command}`);
}

async function shownCertificate(contact: WindowsContact, { files, services }: Ways, state: Standing, work: string): Promise<X509Certificate> {
  state.step = 'open installer';
  const fetched = join(work, 'installer.pem');
  return await until(`the installer on ${contact.host.name} to show itself`, ms.shown, async () => {
    if (await files.get(`${state.folder}\\installer.pem`, fetched)) return new X509Certificate(await readFile(fetched));
    const standing = await services.standing(installerName);
    if (standing !== 'unknown' && standing.state !== 'stopped') return undefined;
    throw installerNotStarted({ host: contact.host.name, why: await lastWord(files, state.folder, work) });
  }, { everyMs: 250, signal: contact.signal });
}

async function lastWord(files: RemoteFiles, folder: string, work: string): Promise<string> {
  const log = join(work, 'installer.log');
  const isThere = await files.get(`${folder}\\installer.log`, log).catch(() => false);
  return isThere ? ((await readFile(log, 'utf8')).trim().split('\n').at(-1)?.slice(0, 400) ?? 'its log is empty') : 'the service ended and wrote no log';
}

async function converse(contact: WindowsContact, pinned: X509Certificate, state: Standing): Promise<void> {
  const { host, offered, say, signal } = contact;
  const address = `${host.address}:${installerPort}`;
  const notReached = (why: string, cause?: unknown): Error => installerNotReached({ address, why }, cause);
  const distrust: Asked['distrust'] = (socket) => {
    const shown = socket.getPeerX509Certificate();
    return shown?.raw.equals(pinned.raw) === true ? undefined : 'it shows another certificate than the installer laid down';
  };
  const asked: Asked = { host: host.address, port: installerPort, tls: { ...tlsOptions(contact.identity), servername: '', checkServerIdentity: () => undefined }, distrust, notTrusted: notReached, notReached };
  const ask = async <P extends ContactPath>(path: P, body: z.infer<(typeof firstContact)[P]['input']>, deadlineMs = ms.ask): Promise<z.infer<(typeof firstContact)[P]['output']>> =>
    (await askForJson(firstContact[path].output, asked, { path, body, deadlineMs, stop: signal })) as z.infer<(typeof firstContact)[P]['output']>;

  // The certificate is laid down before the port is bound.
  const begun = await until(`${address} to answer`, ms.shown, async () => await ask('/begin', { token: state.token }).catch((error: unknown) => {
    if (isFailure(error, installerNotReached) && /ECONNREFUSED/.test(error.message)) return undefined;
    throw error;
  }), { everyMs: 200, signal });
  say('open installer', `${begun.hostname}, Windows ${begun.system}, ${begun.machine}, ${Math.floor(begun.freeBytes / 1e9)} GB free; on port ${installerPort}, with the certificate it laid down`);
  const { manifest, signed } = offered;
  if (begun.freeBytes < manifest.bytes * 5) throw platformUnfit({ host: host.name, why: `it has ${Math.floor(begun.freeBytes / 1e6)} MB free, and ${Math.ceil((manifest.bytes * 5) / 1e6)} MB are needed` });
  state.step = 'send package';
  const { ticket } = begun;
  let { have } = await ask('/offer', { ticket, package: signed });
  while (have < manifest.bytes) {
    const piece = await contact.read(have, Math.min(pieceBytes, manifest.bytes - have));
    ({ have } = await ask('/piece', { ticket, offset: have, base64: Buffer.from(piece).toString('base64') }, ms.put));
  }
  say('send package', `${manifest.name} ${manifest.version}, ${(manifest.bytes / 1e6).toFixed(1)} MB, its signature and checksum are right there`);
  state.step = 'install';
  state.isInstalled = true;
  const { version } = await ask('/install', { ticket, kit: contact.kit, deployerPort: host.deployerPort }, ms.install);
  say('install', `tidemark-deployer ${version} by Windows Installer`);
  await ask('/end', { ticket });
}

async function awaitHealth({ host, healthy, say, signal }: WindowsContact, state: Standing): Promise<void> {
  state.step = 'health';
  let missing = 'nothing was heard yet';
  say('health', `waiting for the deployer of ${host.name}, ${ms.health / 1000} s at most`);
  await until(`the deployer of ${host.name}`, ms.health, () => {
    const answer = healthy();
    if (answer === true) return true;
    missing = answer;
    return undefined;
  }, { everyMs: 300, signal }).catch((error: unknown) => {
    throw isFailure(error, { code: 'base.deadline-passed' }) ? new Error(`${error.message}: ${missing}`, { cause: error }) : error;
  });
  say('health', 'the deployer answers');
}

/** Stops and deletes the service, and then its folder, which Windows keeps as long as the program runs. */
async function takeAway(files: RemoteFiles, services: RemoteServices, { folder, hasFolder }: Standing): Promise<void> {
  await until(`${installerName} to stop`, ms.gone, async () => {
    const standing = await services.standing(installerName);
    if (standing === 'unknown' || standing.state === 'stopped') return true;
    await services.stop(installerName).catch(() => {});
    return undefined;
  }, { everyMs: 300 });
  await services.remove(installerName);
  if (hasFolder) await until(`${folder} to be gone`, ms.gone, async () => (await files.removeFolder(folder).then(() => true, () => undefined)), { everyMs: 300 });
}

async function tidyUp({ say }: WindowsContact, { files, over445, services }: Ways, state: Standing): Promise<void> {
  state.step = 'tidy up';
  await takeAway(files, services, state).catch(async () => await takeAway(files, over445, state));
  state.isThere = false;
  say('tidy up', `service and folder of the installer are gone`);
}

async function failed(contact: WindowsContact, ways: Ways, state: Standing, error: unknown): Promise<Error> {
  const { host, say } = contact;
  const isTidy = !state.isThere || (await takeAway(ways.files, ways.services, state).catch(async () => await takeAway(ways.files, ways.over445, state)).then(() => true, () => false));
  const left = [...(isTidy ? [] : [`the service ${installerName} and %SystemRoot%\\${state.folder}`]), ...(state.isInstalled ? ['what Windows Installer has put there'] : [])];
  const remove = [...(isTidy ? [] : [`sc stop ${installerName} & sc delete ${installerName} & rd /s /q %SystemRoot%\\${state.folder}`]), ...(state.isInstalled ? ['Tidemark deployer in "Apps and features"'] : [])].join('; ');
  say(state.step, `failed: ${describe(error)}${left.length === 0 ? '; nothing is left on the host' : `; left on the host: ${left.join(', ')}`}`);
  if (isFailure(error, platformUnfit) || isFailure(error, windowsInstallerMissing)) return error;
  return deploymentFailed({ host: host.name, step: state.step, why: error instanceof Error ? error.message : String(error), left, remove }, error);
}
