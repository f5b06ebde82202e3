import { copyFile, constants, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describe } from '../../base/failure.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showSeconds } from '../format.ts';
import { findPortOwner } from '../../base/port-owner.ts';

type Finding = { readonly what: string; readonly ok: boolean; readonly says: string };
type ServerView = { readonly url: string; readonly info: RouteAnswer<'server.info'>; readonly hosts: RouteAnswer<'host.describe'>[] } | { readonly url: null; readonly says: string };

/** A lack that a person should know of; a missing server is a fact, not a lack. */
export async function runDoctor(invocation: Invocation): Promise<ExitCode> {
  const { surroundings } = invocation;
  const directory = await nearestExisting(resolve(textOf(invocation, 'data') ?? surroundings.dataDirectories[0]!));
  const findings: Finding[] = [
    { what: 'version', ok: true, says: `tidemark ${surroundings.version}` },
    ...(await surroundings.inspectMachine(directory)),
    await reflink(directory),
    await port(9419, 'the REST API'),
    await port(6162, 'the transport service'),
  ];
  const server = await lookAtServer(invocation);
  // A server on this machine has the same to say of it.
  const seen = new Set(findings.map(({ what, says }) => `${what}: ${says}`));
  const remote = server.url === null ? [] : server.hosts.flatMap((host) => host.findings.filter(({ what, says }) => !seen.has(`${what}: ${says}`)).map((finding) => ({ ...finding, what: `${host.host}: ${finding.what}` })));
  const isComplete = [...findings, ...remote].every((finding) => finding.ok);
  invocation.answer({ ok: isComplete, findings, server }, () => [...findings.map(line), '', ...serverLines(server), ...remote.map(line)].join('\n'));
  return isComplete ? exitCodes.done : exitCodes.part;
}

function line(finding: Finding): string {
  return `${finding.ok ? 'ok     ' : 'lacking'}  ${finding.what}: ${finding.says}`;
}

function serverLines(server: ServerView): string[] {
  if (server.url === null) return [`no server: ${server.says}`];
  const { info } = server;
  const upMs = info.nowMs - info.startedAtMs;
  return [
    `server   ${server.url}, version ${info.version}, up for ${showSeconds(upMs / 1000)}`,
    ...info.hosts.map((host) => `${host.state === 'connected' ? 'ok     ' : 'lacking'}  host ${host.host} at ${host.address}: ${host.state}${host.says === null ? '' : `, ${host.says}`}`),
  ];
}

async function lookAtServer(invocation: Invocation): Promise<ServerView> {
  try {
    const client = await invocation.client();
    const info = await client.call('server.info');
    const connected = info.hosts.filter((host) => host.state === 'connected');
    const hosts = await Promise.all(connected.map((host) => client.call('host.describe', { params: { host: host.host } })));
    return { url: client.server, info, hosts };
  } catch (error) {
    return { url: null, says: describe(error) };
  }
}

async function port(number: number, what: string): Promise<Finding> {
  const owner = await findPortOwner(number);
  if (owner === undefined) return { what: `port ${number}`, ok: true, says: `free for ${what}` };
  const isOurs = /^node (server|transport)\.ts$/.test(owner.name);
  return { what: `port ${number}`, ok: isOurs, says: `in use by pid ${owner.pid} (${owner.name})` };
}

async function reflink(directory: string): Promise<Finding> {
  const what = 'reflink';
  let place: string | undefined;
  try {
    place = await mkdtemp(join(directory, '.tidemark-reflink-'));
    await writeFile(join(place, 'a'), 'tide');
    await copyFile(join(place, 'a'), join(place, 'b'), constants.COPYFILE_FICLONE_FORCE);
    return { what, ok: true, says: `files in ${directory} can be cloned in no time` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cannotWrite = code === 'EACCES' || code === 'EROFS';
    return { what, ok: true, says: cannotWrite ? `${directory} cannot be written by this user: not tried` : `no clones in ${directory}: copies are taken another way` };
  } finally {
    if (place !== undefined) await rm(place, { recursive: true, force: true });
  }
}

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found?.isDirectory() === true || at === dirname(at)) return at;
  }
}
