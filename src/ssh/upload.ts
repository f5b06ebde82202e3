/**
 * A file onto a host, whole or not at all.
 *
 *   1. a directory of the user's own         `mktemp -d`, which nobody else can enter
 *   2. the bytes into it                     SFTP; where there is none, the stdin of `cat`
 *   3. a copy beside its place, as root      from here on the user can no longer change it
 *   4. the checksum of that copy             a difference ends here, and nothing is in place
 *   5. a rename                              whoever looks sees the old file or the new one
 *
 * A file that is there already with the same content and mode is left alone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Client, SFTPWrapper } from 'ssh2';
import { withDeadline } from '../base/deadline.ts';
import { sha256OfFile } from '../base/file-hash.ts';
import { randomId } from '../base/ids.ts';
import type { Ran, RunOptions } from './command.ts';
import { commandFailed, uploadDamaged } from './failures.ts';

export type Upload = {
  readonly content: { readonly file: string } | { readonly bytes: string | Uint8Array };
  /** Its place on the host; the directory is made when it is not there. */
  readonly to: string;
  readonly mode: number;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
};

type Run = (what: string, script: string, options: RunOptions) => Promise<Ran>;
export type UploadBy = { readonly host: string; readonly client: Client; readonly asUser: Run; readonly asRoot: Run };

const stepMs = 60_000;

export async function upload(by: UploadBy, wanted: Upload): Promise<void> {
  const { host } = by;
  const { to, signal } = wanted;
  const sum = await checksumOf(wanted.content);
  const mode = wanted.mode.toString(8).padStart(4, '0');
  const place = quoted(to);
  const same = await by.asRoot(`a look at ${to}`, `test -f ${place} && sha256sum < ${place} && stat -c %a ${place}`, { deadlineMs: stepMs, signal });
  if (same.code === 0 && same.stdout.toString('utf8').replace(/[\s-]+/g, ' ').trim() === `${sum} ${wanted.mode.toString(8)}`) return;
  const directory = (await must(by, by.asUser, 'a directory for the upload', 'd=$(mktemp -d) && chmod 700 "$d" && printf %s "$d"', { deadlineMs: stepMs, signal })).trim();
  try {
    await send(by, wanted, `${directory}/file`);
    const partial = `${to}.${randomId().slice(0, 12)}.partial`;
    const found = await must(
      by,
      by.asRoot,
      `putting ${to} in place`,
      `umask 077; p=${quoted(partial)}
mkdir -p -m 755 "$(dirname ${place})" && cp ${quoted(`${directory}/file`)} "$p" || { rm -f "$p"; exit 1; }
s=$(sha256sum < "$p"); s=\${s%% *}
if [ "$s" = ${sum} ]; then chmod ${mode} "$p" && sync "$p" && mv -f "$p" ${place} || { rm -f "$p"; exit 1; }; else rm -f "$p"; fi
printf %s "$s"`,
      { deadlineMs: wanted.deadlineMs, signal },
    );
    if (found !== sum) throw uploadDamaged({ host, path: to, sent: sum, found });
  } finally {
    // Without the signal: what was stopped is tidied as well.
    await by.asUser('tidying up after an upload', `rm -rf ${quoted(directory)}`, { deadlineMs: stepMs }).catch(() => {});
  }
}

async function send(by: UploadBy, { content, deadlineMs, signal }: Upload, path: string): Promise<void> {
  const sftp = await openSftp(by.client, signal);
  if (sftp === undefined) {
    const stdin = 'file' in content ? createReadStream(content.file) : content.bytes;
    await must(by, by.asUser, 'an upload', `umask 077; cat > ${quoted(path)}`, { deadlineMs, stdin, signal });
    return;
  }
  try {
    await withDeadline(
      `an upload to ${by.host}`,
      deadlineMs,
      async () =>
        await new Promise<void>((resolve, reject) => {
          const lost = (): void => reject(commandFailed({ host: by.host, what: 'an upload', status: 'a closed connection', output: '' }));
          by.client.once('close', lost);
          const done = (error?: Error | null): void => {
            by.client.off('close', lost);
            if (error === undefined || error === null) resolve();
            else reject(commandFailed({ host: by.host, what: 'an upload', status: 'a failure of SFTP', output: error.message }, error));
          };
          if ('file' in content) sftp.fastPut(content.file, path, { mode: 0o600 }, done);
          else sftp.writeFile(path, Buffer.from(content.bytes as Uint8Array), { mode: 0o600 }, done);
        }),
      signal,
    );
  } finally {
    sftp.end();
  }
}

/** None when sshd has no SFTP. */
async function openSftp(client: Client, signal: AbortSignal | undefined): Promise<SFTPWrapper | undefined> {
  return await withDeadline('SFTP', 15_000, async () => await new Promise<SFTPWrapper | undefined>((resolve) => client.sftp((error, sftp) => resolve(error === undefined ? sftp : undefined))), signal).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    return undefined;
  });
}

async function must(by: UploadBy, run: Run, what: string, script: string, options: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(what, script, options);
  if (code !== 0) throw commandFailed({ host: by.host, what, status: `exit code ${code}`, output: stderr.trim().slice(-300) });
  return stdout.toString('utf8');
}

export async function checksumOf(content: Upload['content']): Promise<string> {
  return 'bytes' in content ? createHash('sha256').update(content.bytes).digest('hex') : await sha256OfFile(content.file);
}

export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
