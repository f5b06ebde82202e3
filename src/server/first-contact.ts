/**
 * First contact: from a host that has nothing of ours to one whose services answer, over SSH.
 *
 *   connect ─▶ look ─▶ check ─▶ upload package ─▶ upload kit ─▶ install ─▶ health ─▶ done
 *
 * Doing it again is safe at any step: an upload that is there is left alone, the package is one that may be installed
 * twice, and nothing else is written. What a failure leaves on the host is named with how to remove it: before `install`
 * that is nothing, unless the connection is gone; from then on it is what the package put there.
 */
import { basename } from 'node:path';
import { access, constants, stat } from 'node:fs/promises';
import { describe, isFailure } from '../base/failure.ts';
import { until } from '../base/deadline.ts';
import type { HostLook } from '../contract/host-look.ts';
import { platformVerdict } from '../look/platform.ts';
import { probeScript } from '../look/probe.ts';
import { readLook } from '../look/report.ts';
import type { Shell } from '../ssh/shell.ts';
import { checksumOf, quoted } from '../ssh/upload.ts';
import { deploymentFailed, packageUnreadable, platformUnfit } from './failures.ts';

export type HostPackage = {
  /** On this machine. */
  readonly file: string;
  /** Run as root; `file` is where the package is on the host. May be run again. */
  install(file: string): string;
  /** What an operator runs to take it away. */
  readonly remove: string;
};

/** Of a package file on this machine, which is there and can be read. */
export async function packageForm(file: string): Promise<'deb' | 'rpm'> {
  await access(file, constants.R_OK).catch((error: unknown) => {
    throw packageUnreadable({ file, why: (error as Error).message }, error);
  });
  const form = /\.(deb|rpm)$/.exec(file)?.[1];
  if (form === undefined) throw packageUnreadable({ file, why: 'it is neither a .deb nor an .rpm' });
  return form as 'deb' | 'rpm';
}

export type DeployStep = 'connect' | 'look' | 'check' | 'upload package' | 'upload kit' | 'install' | 'health';

export type Deployment = {
  readonly host: string;
  readonly open: (signal: AbortSignal | undefined) => Promise<Shell>;
  readonly packageFor: (platform: 'linux-x64' | 'linux-arm64', look: HostLook) => Promise<HostPackage>;
  /** What the host needs to enrol; it holds a token, so it is for root alone and is taken away when something fails. */
  readonly kit: { readonly content: string; readonly to: string };
  /** True when the services answer, else what is still missing. Asked until the deadline. */
  readonly healthy: (signal: AbortSignal) => Promise<true | string>;
  /** Lines for the log of a session. */
  readonly say: (step: DeployStep, text: string) => void;
  readonly deadlines?: Partial<typeof usualMs>;
  readonly signal?: AbortSignal;
};

export type Deployed = { readonly look: HostLook; readonly platform: 'linux-x64' | 'linux-arm64'; readonly hostKey: Shell['hostKey'] };

const usualMs = { lookMs: 60_000, uploadMs: 300_000, installMs: 180_000, healthMs: 60_000, healthEveryMs: 500 };
const stagingDirectory = '/var/lib/tidemark-deploy';

/** What one look over SSH tells; the agent takes the same one later. */
export async function lookOverSsh(shell: Shell, options: { deadlineMs?: number; signal?: AbortSignal } = {}): Promise<HostLook> {
  const { deadlineMs = usualMs.lookMs, signal } = options;
  const { stdout } = await shell.run('a look at the host', probeScript, { deadlineMs, signal, maxBytes: 8 << 20 });
  return readLook(stdout.toString('utf8'), shell.host);
}

export async function deployOverSsh(deployment: Deployment): Promise<Deployed> {
  const { host, say, signal } = deployment;
  const ms = { ...usualMs, ...deployment.deadlines };
  say('connect', `to ${host} over SSH`);
  await using shell = await deployment.open(signal);
  say('connect', `signed in as ${shell.user}, root by ${shell.rootBy === 'plain' ? 'sign-in' : shell.rootBy}, host key ${shell.hostKey.fingerprint}`);
  const state: State = { step: 'look', staged: [], kit: undefined, remove: undefined };
  try {
    const look = await lookOverSsh(shell, { deadlineMs: ms.lookMs, signal });
    say('look', `${look.system}, ${look.machine}, glibc ${look.glibc ?? 'none'}, systemd ${look.systemd ?? 'none'}; mongods: ${look.mongods.map(({ port, version }) => `${version ?? 'unknown'} on port ${port}`).join(', ') || 'none'}`);
    state.step = 'check';
    const chosen = await choose(deployment, look);
    await place(deployment, shell, chosen, ms, state);
    state.step = 'health';
    await awaitHealth(deployment, ms);
    return { look, platform: chosen.platform, hostKey: shell.hostKey };
  } catch (error) {
    throw await failed(deployment, shell, state, error);
  }
}

type State = { step: DeployStep; staged: string[]; kit: string | undefined; remove: string | undefined };

async function choose({ host, packageFor, say }: Deployment, look: HostLook): Promise<HostPackage & { platform: 'linux-x64' | 'linux-arm64' }> {
  const first = platformVerdict(look, 0);
  if (first.kind === 'unfit') throw platformUnfit({ host, why: first.why });
  const chosen = await packageFor(first.platform, look);
  // Packed it lies in the staging directory, unpacked in /opt.
  const verdict = platformVerdict(look, (await stat(chosen.file)).size * 5);
  if (verdict.kind === 'unfit') throw platformUnfit({ host, why: verdict.why });
  say('check', `${verdict.platform}, package ${basename(chosen.file)}`);
  return { ...chosen, install: (file) => chosen.install(file), platform: verdict.platform };
}

async function place(deployment: Deployment, shell: Shell, chosen: HostPackage, ms: typeof usualMs, state: State): Promise<void> {
  const { say, kit, signal } = deployment;
  state.step = 'upload package';
  const sum = await checksumOf({ file: chosen.file });
  const staged = `${stagingDirectory}/${sum.slice(0, 16)}-${basename(chosen.file)}`;
  state.staged.push(staged);
  await shell.upload({ content: { file: chosen.file }, to: staged, mode: 0o600, deadlineMs: ms.uploadMs, signal });
  say('upload package', `${staged}, SHA-256 ${sum}`);
  state.step = 'upload kit';
  state.kit = kit.to;
  await shell.upload({ content: { bytes: kit.content }, to: kit.to, mode: 0o600, deadlineMs: ms.uploadMs, signal });
  say('upload kit', kit.to);
  state.step = 'install';
  state.remove = chosen.remove;
  const printed = await shell.ask('the installation', `export DEBIAN_FRONTEND=noninteractive; ${chosen.install(quoted(staged))}`, { deadlineMs: ms.installMs, signal });
  say('install', printed.trim().split('\n').at(-1)?.slice(0, 200) || 'done');
  await shell.run('tidying up', `rm -f ${quoted(staged)}; rmdir ${stagingDirectory} 2>/dev/null || :`, { deadlineMs: 30_000, signal });
  state.staged = [];
}

export async function awaitHealth({ host, healthy, say, signal }: Pick<Deployment, 'host' | 'healthy' | 'say' | 'signal'>, ms: Pick<typeof usualMs, 'healthMs' | 'healthEveryMs'> = usualMs): Promise<void> {
  let missing = 'nothing was heard yet';
  say('health', `waiting for the services of ${host}, ${ms.healthMs / 1000} s at most`);
  try {
    await until(`the services of ${host}`, ms.healthMs, async (ends) => {
      const answer = await healthy(ends);
      if (answer === true) return true;
      missing = answer;
      return undefined;
    }, { everyMs: ms.healthEveryMs, signal });
  } catch (error) {
    if (!isFailure(error, { code: 'base.deadline-passed' })) throw error;
    throw new Error(`${error.message}: ${missing}`, { cause: error });
  }
  say('health', 'the services answer');
}

/** Takes away what can be taken away, and says what is left. */
async function failed({ host, say }: Deployment, shell: Shell, state: State, error: unknown): Promise<Error> {
  const ours = [...state.staged, ...(state.kit === undefined ? [] : [state.kit])];
  const command = `rm -f ${ours.map(quoted).join(' ')}; rmdir ${stagingDirectory} 2>/dev/null || :`;
  const isTidy = ours.length === 0 || (await shell.run('tidying up', command, { deadlineMs: 30_000 }).then(({ code }) => code === 0, () => false));
  const left = [...(isTidy ? [] : ours), ...(state.remove === undefined ? [] : ['what the package has installed'])];
  const remove = [...(isTidy ? [] : [`rm -f ${ours.map(quoted).join(' ')}`]), ...(state.remove === undefined ? [] : [state.remove])].join('; ');
  say(state.step, `failed: ${describe(error)}${left.length === 0 ? '; nothing is left on the host' : `; left on the host: ${left.join(', ')}`}`);
  if (isFailure(error, platformUnfit)) return error;
  return deploymentFailed({ host, step: state.step, why: error instanceof Error ? error.message : String(error), left, remove }, error);
}
