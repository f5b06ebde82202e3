/**
 * First contact with a Windows host whose sshd lets an administrator in: what an operator would carry there as a deployment kit.
 *
 *   connect ─▶ upload kit ─▶ install ─▶ tidy up ─▶ health
 *
 * The folder has a name that nobody can know before and lies in the administrator's own. It holds the token, so it goes again whatever happens,
 * or is named. A package may be installed twice, and each contact has a token of its own, so all of it may be done again.
 */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { describe } from '../base/failure.ts';
import type { HostKit } from '../contract/routes/hosts.ts';
import type { HostKey } from '../ssh/host-key.ts';
import type { WindowsFile, WindowsHost } from '../ssh/windows-host.ts';
import { deploymentFailed } from './failures.ts';
import { awaitHealth, type DeployStep } from './first-contact.ts';

export type WindowsOverSsh = {
  readonly host: string;
  readonly open: (signal: AbortSignal | undefined) => Promise<WindowsHost>;
  /** On this machine. */
  readonly package: string;
  readonly program: string;
  readonly kit: HostKit;
  readonly healthy: (signal: AbortSignal) => Promise<true | string>;
  readonly say: (step: DeployStep | 'tidy up', text: string) => void;
  readonly signal?: AbortSignal;
};

const ms = { upload: 300_000, install: 360_000, tidy: 30_000 };
const program = 'install.cmd';

export async function deployWindowsOverSsh(contact: WindowsOverSsh): Promise<{ hostKey: HostKey }> {
  const { host, say, signal } = contact;
  say('connect', `to ${host} over SSH, which runs Windows`);
  await using there = await contact.open(signal);
  const folder = `tidemark-${randomBytes(16).toString('hex')}`;
  const files: WindowsFile[] = [
    { name: basename(contact.package), content: { file: contact.package } },
    { name: program, content: { text: contact.program } },
    { name: 'kit.json', content: { text: JSON.stringify(contact.kit) } },
  ];
  const state: { step: DeployStep; isInstalled: boolean } = { step: 'upload kit', isInstalled: false };
  let failed: unknown;
  try {
    await there.put(folder, files, { deadlineMs: ms.upload, signal });
    say('upload kit', `${files.map(({ name }) => name).join(', ')} in ${folder} of the administrator's own folder`);
    state.step = 'install';
    say('install', (await there.run(folder, program, { deadlineMs: ms.install, signal })).trim().split(/\r?\n/).at(-1)!);
    state.isInstalled = true;
  } catch (error) {
    failed = error;
  }
  // Without the signal: what was stopped is tidied as well.
  const left = await there.takeAway(folder, files.map(({ name }) => name), { deadlineMs: ms.tidy }).then(() => [] as string[], (error: unknown) => {
    say('tidy up', `the folder ${folder} of the administrator could not be taken away: ${describe(error)}`);
    return [folder];
  });
  try {
    if (failed !== undefined) throw failed as Error;
    state.step = 'health';
    await awaitHealth(contact);
    return { hostKey: there.hostKey };
  } catch (error) {
    say(state.step, `failed: ${describe(error)}`);
    const remove = [...left.map((name) => `rmdir /s /q "%USERPROFILE%\\${name}"`), ...(state.isInstalled ? [`msiexec /x ${basename(contact.package)} /qn`] : [])];
    throw deploymentFailed({ host, step: state.step, why: error instanceof Error ? error.message : String(error), left: [...left, ...(state.isInstalled ? ['what the package has installed'] : [])], remove: remove.join(' & ') }, error);
  }
}
